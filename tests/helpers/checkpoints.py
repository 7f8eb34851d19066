"""Random weights in the layouts of the public checkpoints, small where the layout allows it.

The original Zero123 names come from a list made with the original code (tests/data/zero123), not from our converter.
"""

from __future__ import annotations

import gzip
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from transformers.models.clip import CLIPVisionConfig

from backend.surface.one2345.network import One2345
from benchmark.full_size import view_modules as view_model_modules
from tests.helpers.paths import TEST_DATA

LIST = json.loads(gzip.decompress((TEST_DATA / "zero123" / "checkpoint_names.json.gz").read_bytes()))
"""``names`` (module -> today's name -> original name, with changes), ``original`` and ``diffusers`` (full sizes)."""
AVERAGE_SHIFT = 0.25
"""What the averaged UNet weights have more than the raw ones here."""


def view_modules() -> dict[str, nn.Module]:
    """A view model of the public structure in narrow."""
    torch.manual_seed(0)
    widths = (32, 64, 96, 96)  # they grow where those of the real one grow
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=1,
        patch_size=14,
        projection_dim=64,
    )
    return view_model_modules(widths, widths, vision)


def original_state(modules: dict[str, nn.Module], shift: float = AVERAGE_SHIFT) -> dict[str, torch.Tensor]:
    """The ``state_dict`` of the original checkpoint: fewer names than the 1,938 where layers are fewer. The averaged
    UNet has ``shift`` more in every number: at full size the default would drive 16 bits to infinity."""
    state = {}
    for component, module in modules.items():
        rows = {}
        for name, tensor in module.state_dict().items():
            if name.endswith("position_ids"):
                continue
            tensor = tensor.detach().clone()
            old = LIST["names"][component][name]
            if isinstance(old, dict):
                state[old["raw"]], state[old["ema"]] = tensor, tensor + shift
            elif isinstance(old, str):
                dimensions = len(LIST["original"][old][1])
                state[old] = tensor.reshape(*tensor.shape, *[1] * (dimensions - tensor.dim()))
            elif old[1] == "transpose":
                state[old[0]] = tensor.T.contiguous()
            else:
                rows.setdefault(old[0], {})[int(old[1].split()[1].split(":")[0])] = tensor
        state |= {name: torch.cat([thirds[start] for start in sorted(thirds)]) for name, thirds in rows.items()}
    for name, (kind, shape) in LIST["original"].items():
        if name not in state and not name.startswith("cond_stage_model.model.visual."):
            state[name] = torch.zeros([min(size, 8) for size in shape], dtype=getattr(torch, kind))
    return state


def write_lightning(path: Path, state: dict[str, torch.Tensor]) -> Path:
    """A ``.ckpt`` as PyTorch Lightning wrote it, with a class of its own and numpy numbers in it."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = types.ModuleType(name)
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": name})
    parents = {each: types.ModuleType(each) for each in ("pytorch_lightning", "pytorch_lightning.callbacks")}
    sys.modules.update({**parents, name: module})
    try:
        best = {"best_model_score": np.float64(0.5), "current": np.int64(3), "dirpath": "logs"}
        moments = {"step": 1, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
        content = {
            "epoch": 3,
            "global_step": 9,
            "pytorch-lightning_version": "1.4.2",
            "state_dict": state,
            "callbacks": {module.ModelCheckpoint: best},
            "optimizer_states": [{"state": {0: moments}, "param_groups": [{"lr": 1e-4, "params": [0]}]}],
            "lr_schedulers": [],
        }
        torch.save(content, path)
    finally:
        for each in (*parents, name):
            del sys.modules[each]
    return path


def write_diffusers(folder: Path, modules: dict[str, nn.Module], family: str = "clip_camera_projection") -> Path:
    """A folder as the public ones are: ``clip_camera_projection`` with safetensors, ``cc_projection`` with pickles."""
    for name in ("unet", "vae"):
        modules[name].save_pretrained(folder / name, safe_serialization=family != "cc_projection")
    modules["image_encoder"].save_pretrained(folder / "image_encoder")
    home = folder / family
    home.mkdir()
    projection = modules["clip_camera_projection"].state_dict()
    if family == "cc_projection":
        encoder = folder / "image_encoder"
        (encoder / "model.safetensors").unlink()
        torch.save(modules["image_encoder"].state_dict(), encoder / "pytorch_model.bin")
        renamed = {name.replace("proj.", "projection."): tensor for name, tensor in projection.items()}
        torch.save(renamed, home / "diffusion_pytorch_model.bin")
    else:
        save_file(projection, home / "diffusion_pytorch_model.safetensors")
    (home / "config.json").write_text("{}")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "Zero123Pipeline", "unet": ["diffusers", "x"]}))
    return folder


def write_surface_checkpoint(path: Path, moments: int = 10) -> Path:
    """As ``ckpt_215000.pth``: a dict of each network's state, beside ``moments`` bytes of the optimizer's."""
    torch.manual_seed(0)
    state = One2345().state_dict()
    content = {}
    for name, tensor in state.items():
        network, _, rest = name.partition(".")
        content.setdefault(network, {})[rest] = tensor
    torch.save(
        content | {"optimizer": {"state": {0: torch.rand(moments // 4)}}, "iter_step": 215000, "val_step": 0}, path
    )
    return path


def write_text_to_image(folder: Path) -> Path:
    """What matters of a diffusers pipeline's folder: its index, its components and their files."""
    for name in ("unet", "vae", "tokenizer"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    save_file({"a": torch.ones(3)}, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    save_file({"a": torch.ones(3)}, folder / "vae" / "diffusion_pytorch_model.safetensors")
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (folder / "unet" / "code.py").write_text("raise SystemExit")
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    index |= {"vae": ["diffusers", "AutoencoderKL"], "tokenizer": ["transformers", "CLIPTokenizer"]}
    (folder / "model_index.json").write_text(json.dumps(index | {"safety_checker": [None, None]}))
    return folder

"""The original checkpoint of a view model (one Lightning file) -> a folder in diffusers' layout, once.

Of the UNet the averaged (EMA) weights are taken, as the original code does when it samples. Every size is read off the
tensors; every name and shape has to fit. Layout: section "Original checkpoint" of the One-2-3-45 and Zero123 code
(arXiv 2303.11328), the latent-diffusion and OpenAI CLIP names within.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...errors import ErrorCode, UserError
from ...io.checkpoint import read_checkpoint
from ...io.tensors import state_dict_mismatch, write_tensors
from ...progress import OnProgress, ignore_progress
from . import ldm_key_mapping as names
from .loading import POLAR_OF_SOURCE, STABLE_DIFFUSION_SCHEDULE

_UNUSED = {
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "model_ema.decay",
    "model_ema.num_updates",
    "cond_stage_model.model.positional_embedding",
    "cond_stage_model.model.text_projection",
    "cond_stage_model.model.logit_scale",
    "cond_stage_model.model.token_embedding.weight",
    "cond_stage_model.model.ln_final.weight",
    "cond_stage_model.model.ln_final.bias",
}
"""The noise schedule, which is known, and what is left of CLIP's text half."""
_AVERAGED_FROM = 100
"""Averaged tensors from which on a checkpoint counts as having them."""
_CLIP_LAYERS = {1024: 24}
"""Layers of OpenAI's ViT-L/14; of other widths (tests) as many as the file has."""


def has_zero123_keys(keys: Iterable[str]) -> bool:
    """Whether a checkpoint with these names, at its top or in its ``state_dict``, is a view model's."""
    return any(key.startswith((names.UNET, names.AVERAGED)) for key in keys)


def convert(
    source: Path,
    folder: Path,
    uses_source_elevation: bool = False,
    half: bool = False,
    on_progress: OnProgress = ignore_progress,
    reserve: Callable[[int], object] = ignore_progress,
) -> None:
    """Write ``folder`` (new) from the checkpoint ``source``; the tensors' values are kept, or rounded to 16 bits.

    ``uses_source_elevation`` marks the weights of Stable Zero123, whose fourth pose number differs. ``reserve`` is
    called with the bytes to be written before any is. Raises UserError, and whatever the two callbacks raise.
    """
    content = read_checkpoint(source)
    found = content.get("state_dict", content)
    if not isinstance(found, dict) or not has_zero123_keys(map(str, found)):
        raise UserError(ErrorCode.WEIGHTS_UNKNOWN, f"{source} is no Zero123 checkpoint: get the original file.")
    if strange := next((name for name, value in found.items() if not isinstance(value, torch.Tensor)), None):
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{source} holds no tensor under “{strange}”: get the original file.")
    modules = _modules(found, source)
    parts = _plan(modules, found, source)
    total = sum(_share(found, old) for wanted in parts.values() for old, _ in wanted.values())
    done = 0
    reserve(total)
    for part, wanted in parts.items():
        tensors = {}
        for name, (old, change) in wanted.items():
            tensors[name] = _tensor(found[old], change, half, old, source)
            done += _share(found, old)
            on_progress(done / total)
        stem = "model" if part == "image_encoder" else "diffusion_pytorch_model"
        write_tensors(folder / part / f"{stem}.safetensors", tensors, quantize=False)
    _write_configs(folder, modules, uses_source_elevation)


def _plan(
    modules: dict[str, nn.Module], found: dict, source: Path
) -> dict[str, dict[str, tuple[str, names.Change | None]]]:
    """For each part: the name of each tensor -> where it comes from. Checks that the file fits, name by name."""
    has_average = sum(name.startswith(names.AVERAGED) for name in found) > _AVERAGED_FROM
    rules = {
        "unet": names.unet,
        "vae": names.vae,
        "image_encoder": names.clip,
        "clip_camera_projection": names.projection,
    }
    plan, expected = {}, {}
    for part, module in modules.items():
        plan[part] = {}
        for name, tensor in module.state_dict().items():
            if name.endswith("position_ids"):
                continue
            old, change = rules[part](name)
            if part == "unet" and has_average:
                old = names.averaged(old)
            plan[part][name] = old, change
            expected[old] = _original_shape(tensor.shape, change, old)
    optional = (lambda name: name.startswith(names.UNET)) if has_average else (lambda name: False)
    known = {name: tensor.shape for name, tensor in found.items() if name not in _UNUSED and not optional(name)}
    if wrong := state_dict_mismatch(expected, known):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} is no complete Zero123 checkpoint, it {wrong}: get the original file.",
        )
    return plan


def _share(found: dict, old: str) -> int:
    """Bytes that one of our tensors takes of the original one; CLIP's queries, keys and values were one tensor."""
    return found[old].nbytes // (3 if ".attn.in_proj_" in old else 1)


def _original_shape(shape: torch.Size, change: names.Change | None, old: str) -> tuple[int, ...]:
    """The shape that gives ``shape`` after ``change``."""
    if change is None:
        return tuple(shape)
    if change is torch.t:
        return tuple(reversed(shape))
    if ".attn.in_proj_" in old:
        return (3 * shape[0], *shape[1:])
    return (*shape, 1, 1)


def _tensor(tensor: torch.Tensor, change: names.Change | None, half: bool, old: str, source: Path) -> torch.Tensor:
    if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"{source} is damaged, “{old}” holds no usable numbers: get the original file."
        )
    if change is not None:
        tensor = change(tensor).clone(memory_format=torch.contiguous_format)  # safetensors wants each by itself
    if half and tensor.dtype == torch.float32:
        rounded = tensor.half()
        return rounded if torch.isfinite(rounded).all() else tensor
    return tensor


def _modules(found: dict, source: Path) -> dict[str, nn.Module]:
    """The four parts without memory for their parameters, in the sizes that the checkpoint's own tensors have."""
    unet, vae, clip, inputs, outputs = _configs(found, source)
    try:
        with torch.device("meta"):
            return {
                "unet": UNet2DConditionModel(**unet),
                "vae": AutoencoderKL(**vae),
                "image_encoder": CLIPVisionModelWithProjection(CLIPVisionConfig(**clip)),
                "clip_camera_projection": nn.ModuleDict({"proj": nn.Linear(inputs, outputs)}),
            }
    except (ValueError, ZeroDivisionError, RuntimeError) as error:
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH, f"{source} has sizes that fit no Zero123 model: get the original file."
        ) from error


def _configs(found: dict, source: Path) -> tuple[dict, dict, dict, int, int]:
    """The arguments of the UNet, the VAE and the CLIP tower, and the projection's inputs and outputs."""

    def size(name: str, dimensions: int) -> tuple[int, ...]:
        old = name if name in found else names.averaged(name)
        if old not in found or found[old].dim() != dimensions:
            state = "lacks" if old not in found else "has a wrong shape for"
            raise UserError(ErrorCode.WEIGHTS_MISMATCH, f"{source} {state} “{name}”: get the original file.")
        return tuple(found[old].shape)

    inputs, outputs = reversed(size(names.PROJECTION + "weight", 2))
    levels = [size(f"{names.UNET}input_blocks.{block}.0.out_layers.3.weight", 4)[0] for block in (1, 4, 7, 10)]
    scales = [size(f"{names.VAE}encoder.down.{level}.block.0.conv2.weight", 4)[0] for level in range(4)]
    width, _, patch, _ = size(names.CLIP + "conv1.weight", 4)
    layers = {name.split(".")[5] for name in found if name.startswith(names.CLIP + "transformer.resblocks.")}
    unet = {
        "sample_size": 32,
        "in_channels": size(names.UNET + "input_blocks.0.0.weight", 4)[1],
        "out_channels": size(names.UNET + "out.2.weight", 4)[0],
        "block_out_channels": levels,
        "cross_attention_dim": outputs,
        "attention_head_dim": 8,  # diffusers' name for the number of heads
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    }
    vae = {
        "sample_size": 256,
        "layers_per_block": 2,
        "latent_channels": size(names.VAE + "post_quant_conv.weight", 4)[0],
        "block_out_channels": scales,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "scaling_factor": 0.18215,
    }
    clip = {
        "hidden_size": width,
        "intermediate_size": size(names.CLIP + "transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        "num_hidden_layers": _CLIP_LAYERS.get(width, len(layers)),
        "num_attention_heads": width // 64,
        "image_size": patch * math.isqrt(size(names.CLIP + "positional_embedding", 2)[0] - 1),
        "patch_size": patch,
        "projection_dim": size(names.CLIP + "proj", 2)[1],
        "hidden_act": "quick_gelu",
    }
    return unet, vae, clip, inputs, outputs


def _write_configs(folder: Path, modules: dict[str, nn.Module], uses_source_elevation: bool) -> None:
    modules["unet"].save_config(folder / "unet")
    modules["vae"].save_config(folder / "vae")
    modules["image_encoder"].config.save_pretrained(folder / "image_encoder")
    schedule = {"_class_name": "DDIMScheduler", **STABLE_DIFFUSION_SCHEDULE, "clip_sample": False}
    (folder / "scheduler").mkdir()
    _write_json(
        folder / "scheduler" / "scheduler_config.json", schedule | {"set_alpha_to_one": False, "steps_offset": 1}
    )
    _write_json(folder / "view.json", {})
    if uses_source_elevation:
        mark_uses_source_elevation(folder)


def mark_uses_source_elevation(folder: Path) -> None:
    """Say in a view model's folder that its fourth pose number is Stable Zero123's."""
    _write_json(folder / "view.json", {"fourth_pose_number": POLAR_OF_SOURCE})


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

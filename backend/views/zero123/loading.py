"""A folder of weights in diffusers' layout -> the parts of a view model.

Public folders (two families with different names for the camera projection) and ours share one path. Their
``model_index.json`` names classes that only exist in remote code, so it is ignored: the classes are known.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from ...errors import ErrorCode, UserError
from ...io.checkpoint import read_checkpoint
from ...io.tensors import read_tensors, state_dict_mismatch
from .conditioning import build_elevation_head

VARIANTS = (".fp16_ema", ".fp16", "")
"""Preferred first: the reference samples with the averaged (EMA) weights."""
STEMS = ("diffusion_pytorch_model", "model")
PROJECTIONS = ("clip_camera_projection", "cc_projection")

STABLE_DIFFUSION_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
"""Public Zero123 weights all have this one; some public folders carry a wrong scheduler file, so theirs is not read."""

POLAR_OF_SOURCE = "polar of the source"
"""What the fourth pose number is with Stable Zero123's weights (``view.json``); everywhere else, a change of radius."""

OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""Names that early diffusers versions gave to the VAE's attention layers."""


def load_components(folder: Path) -> dict:
    """The arguments of ``Zero123``: modules on the CPU as stored, the noise schedule, the elevation head or None.

    A file ``view.json`` marks a folder that this program wrote: its noise schedule is the folder's own, its list
    ``elevation_head`` (layer widths), where present, announces ``elevation.safetensors``, and ``fourth_pose_number``
    may be ``POLAR_OF_SOURCE``.
    Raises UserError for missing, broken or mismatched files.
    """
    if not folder.is_dir():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There are no view weights at {folder}: choose another folder.")
    ours = _read_json(folder / "view.json") if (folder / "view.json").exists() else None
    unet = _build(UNet2DConditionModel.from_config, folder / "unet")
    vae = _build(AutoencoderKL.from_config, folder / "vae")
    encoder = _build(lambda config: CLIPVisionModelWithProjection(CLIPVisionConfig(**config)), folder / "image_encoder")
    _fill(unet, _read_weights(folder / "unet"), folder / "unet")
    _fill(vae, _modern_names(_read_weights(folder / "vae")), folder / "vae")
    _fill(encoder, _read_weights(folder / "image_encoder"), folder / "image_encoder")
    width = encoder.config.projection_dim
    parts = {
        "unet": unet,
        "vae": vae,
        "image_encoder": encoder,
        "projection": _load_projection(folder, width + 4, unet.config.cross_attention_dim),
        "schedule": STABLE_DIFFUSION_SCHEDULE,
    }
    if unet.config.in_channels != 2 * vae.config.latent_channels:
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"The view weights at {folder} do not belong together: the UNet takes {unet.config.in_channels} channels, "
            f"the VAE makes {vae.config.latent_channels}. Install them again.",
        )
    if ours is not None:
        if (folder / "scheduler").is_dir():
            parts["schedule"] = _read_json(folder / "scheduler" / "scheduler_config.json")
        parts["uses_source_elevation"] = ours.get("fourth_pose_number") == POLAR_OF_SOURCE
        if "elevation_head" in ours:
            head = build_elevation_head(ours["elevation_head"])
            _fill(head, read_tensors(_existing(folder / "elevation.safetensors")), folder)
            parts["elevation_head"] = head
    return parts


def _build(make, folder: Path) -> nn.Module:
    """A module from ``config.json`` in ``folder``, without memory for its parameters yet."""
    config = _read_json(folder / "config.json")
    try:
        with torch.device("meta"):
            return make(config)
    except Exception as error:  # whatever the libraries make of it
        told = f"{folder / 'config.json'} does not describe a model: install these weights again."
        raise UserError(ErrorCode.WEIGHTS_BROKEN, told) from error


def _load_projection(folder: Path, inputs: int, outputs: int) -> nn.Linear:
    home = projection_folder(folder)
    if home is None:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"{folder} lacks the camera projection: install these weights again."
        )
    tensors = _read_weights(home)
    with torch.device("meta"):
        projection = nn.Linear(inputs, outputs)
    _fill(projection, {name.rpartition(".")[2]: tensor for name, tensor in tensors.items()}, home)
    return projection


def projection_folder(folder: Path) -> Path | None:
    """Where a view model's folder keeps the camera projection; None where it has none, and is no view model's."""
    return next((folder / name for name in PROJECTIONS if (folder / name).is_dir()), None)


def weight_file(folder: Path) -> Path:
    """The file of ``folder`` that is read: safetensors first, of several precisions the preferred one.

    Raises UserError (``weights_missing``).
    """
    safe = [f"{stem}{variant}.safetensors" for variant in VARIANTS for stem in STEMS]
    # Pickles last; only tensors are ever unpickled. Older CLIP and projection files have PyTorch's own default name.
    for name in (*safe, *(f"{stem}.bin" for stem in (*STEMS, "pytorch_model"))):
        if (folder / name).is_file():
            return folder / name
    raise UserError(ErrorCode.WEIGHTS_MISSING, f"{folder} has no weight file: install these weights again.")


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = weight_file(folder)
    return read_tensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)


def _modern_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in OLD_ATTENTION.items():
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Give ``module`` its parameters; every name and shape has to fit."""
    # Old CLIP files store this constant; today's classes make it themselves.
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    wanted = {name: tensor.shape for name, tensor in module.state_dict().items() if not name.endswith("position_ids")}
    if wrong := state_dict_mismatch(wanted, {name: tensor.shape for name, tensor in tensors.items()}):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} {wrong}, which does not fit its config.json: install these weights again.",
        )
    if strange := next((name for name, tensor in tensors.items() if not tensor.is_floating_point()), None):
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"{source} holds no usable numbers in “{strange}”: install these weights again."
        )
    module.load_state_dict(tensors, strict=False, assign=True)  # all but constants that the classes make themselves
    for name, buffer in module.named_buffers():
        if buffer.is_meta and name.endswith("position_ids"):
            owner = module.get_submodule(name.rpartition(".")[0])
            owner.position_ids = torch.arange(buffer.shape[-1])[None]


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(_existing(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"not an object: {type(content).__name__}")
    except ValueError as error:
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{path} is damaged: install these weights again.") from error
    return content


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"{path} is missing: install these weights again.")
    return path

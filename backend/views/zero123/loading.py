"""A folder of weights in diffusers' layout -> the components of a view model.

Public folders (two families with different names for the camera projection) and ours are loaded by the same code. Their
``model_index.json`` names classes that only exist in remote code, so it is ignored: the classes are known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import ErrorCode, UserError
from ...input_files import read_json
from ...io.checkpoint import read_checkpoint
from ...io.tensors import read_tensors, state_dict_mismatch
from .conditioning import build_elevation_head

VARIANTS = (".fp16_ema", ".fp16", "")
"""Preferred first: the reference samples with the averaged (EMA) weights."""
STEMS = ("diffusion_pytorch_model", "model")
PROJECTION_FOLDERS = ("clip_camera_projection", "cc_projection")

STABLE_DIFFUSION_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}
"""Public Zero123 weights all have this one; some public folders carry a wrong scheduler file, so theirs is not read."""

USES_SOURCE_ELEVATION = "uses_source_elevation"
"""Key in ``view.json``: true for Stable Zero123's weights, whose fourth pose number is the polar angle of the source;
for all others it is a change of radius."""

_LEGACY_ATTENTION_KEYS = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
"""Of the VAE's attention layers in early diffusers versions -> today's."""


def load_components(folder: Path) -> dict:
    """The arguments of ``Zero123``: modules on the CPU as stored, the noise schedule, the elevation head or None.

    A file ``view.json`` marks a folder that this program wrote: its noise schedule is the folder's own, and the keys
    ``elevation_head`` (layer widths; the tensors are in ``elevation.safetensors``) and ``USES_SOURCE_ELEVATION`` may
    be there. Raises UserError (``weights_missing``, ``weights_broken``, ``weights_mismatch``).
    """
    if not folder.is_dir():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There is no view model in {folder}: choose another folder.")
    from diffusers import AutoencoderKL, UNet2DConditionModel  # these take seconds
    from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

    settings = _read_json(folder / "view.json") if (folder / "view.json").exists() else None
    unet = _build(UNet2DConditionModel.from_config, folder / "unet")
    vae = _build(AutoencoderKL.from_config, folder / "vae")
    encoder = _build(lambda config: CLIPVisionModelWithProjection(CLIPVisionConfig(**config)), folder / "image_encoder")
    _load_state(unet, _read_weights(folder / "unet"), folder / "unet")
    _load_state(vae, _modern_keys(_read_weights(folder / "vae")), folder / "vae")
    _load_state(encoder, _read_weights(folder / "image_encoder"), folder / "image_encoder")
    width = encoder.config.projection_dim
    components = {
        "unet": unet,
        "vae": vae,
        "image_encoder": encoder,
        "projection": _load_projection(folder, width + 4, unet.config.cross_attention_dim),
        "schedule": STABLE_DIFFUSION_SCHEDULE,
    }
    if unet.config.in_channels != 2 * vae.config.latent_channels:
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"The view model in {folder} is inconsistent: its UNet takes {unet.config.in_channels} channels, "
            f"its VAE produces {vae.config.latent_channels}. Install these weights again.",
        )
    if settings is not None:
        if (folder / "scheduler").is_dir():
            components["schedule"] = _read_json(folder / "scheduler" / "scheduler_config.json")
        components["uses_source_elevation"] = settings.get(USES_SOURCE_ELEVATION) is True
        if "elevation_head" in settings:
            head = build_elevation_head(settings["elevation_head"])
            _load_state(head, read_tensors(_existing(folder / "elevation.safetensors")), folder)
            components["elevation_head"] = head
    return components


def _build(make: Callable[[dict], Any], folder: Path) -> Any:
    """A module on the meta device, from ``config.json`` in ``folder``. Raises UserError."""
    config = _read_json(folder / "config.json")
    try:
        with torch.device("meta"):
            return make(config)
    except Exception as error:  # the libraries raise anything
        message = f"{folder / 'config.json'} does not describe a model: install these weights again."
        raise UserError(ErrorCode.WEIGHTS_BROKEN, message) from error


def _load_projection(folder: Path, inputs: int, outputs: int) -> nn.Linear:
    source = projection_folder(folder)
    if source is None:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"{folder} is missing the camera projection: install these weights again."
        )
    tensors = _read_weights(source)
    with torch.device("meta"):
        projection = nn.Linear(inputs, outputs)
    _load_state(projection, {name.rpartition(".")[2]: tensor for name, tensor in tensors.items()}, source)
    return projection


def projection_folder(folder: Path) -> Path | None:
    """The folder of the camera projection in a view model's ``folder``; None where there is none, and no view model."""
    return next((folder / name for name in PROJECTION_FOLDERS if (folder / name).is_dir()), None)


def weight_file(folder: Path) -> Path:
    """The weight file of a component's ``folder``: safetensors first, of several precisions the preferred one.

    Raises UserError (``weights_missing``).
    """
    safe = [f"{stem}{variant}.safetensors" for variant in VARIANTS for stem in STEMS]
    # Pickles last; only tensors are ever unpickled. Older CLIP and projection files have transformers' old name.
    for name in (*safe, *(f"{stem}.bin" for stem in (*STEMS, "pytorch_model"))):
        if (folder / name).is_file():
            return folder / name
    raise UserError(ErrorCode.WEIGHTS_MISSING, f"{folder} has no weight file: install these weights again.")


def _read_weights(folder: Path) -> dict[str, torch.Tensor]:
    path = weight_file(folder)
    return read_tensors(path) if path.suffix == ".safetensors" else read_checkpoint(path)


def _modern_keys(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in _LEGACY_ATTENTION_KEYS.items():
            name = name.replace(old, new)
        renamed[name] = tensor
    return renamed


def _load_state(module: nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Give ``module`` (on the meta device) its parameters. Raises UserError where a key or a shape does not fit."""
    # Old CLIP files store this constant; today's classes compute it.
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")}
    expected = {name: tensor.shape for name, tensor in module.state_dict().items() if not name.endswith("position_ids")}
    if mismatch := state_dict_mismatch(expected, {name: tensor.shape for name, tensor in tensors.items()}):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} {mismatch}, which does not match its config.json: install these weights again.",
        )
    if stranger := next((name for name, tensor in tensors.items() if not tensor.is_floating_point()), None):
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"{source} has “{stranger}”, which is not a floating-point tensor: install these weights again.",
        )
    module.load_state_dict(tensors, strict=False, assign=True)  # all but constants that the classes compute
    for name, buffer in module.named_buffers():
        if buffer.is_meta and name.endswith("position_ids"):
            owner = module.get_submodule(name.rpartition(".")[0])
            owner.position_ids = torch.arange(buffer.shape[-1])[None]


def _read_json(path: Path) -> dict:
    """Raises UserError (``weights_missing``, ``weights_broken``)."""
    try:
        content = read_json(_existing(path))
        if not isinstance(content, dict):
            raise ValueError(f"not an object: {type(content).__name__}")
    except ValueError as error:
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{path} is damaged: install these weights again.") from error
    return content


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"{path} is missing: install these weights again.")
    return path

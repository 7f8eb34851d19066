"""The original checkpoint of a view model (one Lightning file) -> a folder in diffusers' layout.

The UNet's weights are the moving averages (EMA), as in the original code when it samples. All sizes are read from the
tensors; every key and shape has to match. The layout is that of the Zero123 code (arXiv 2303.11328), with latent
diffusion's and OpenAI CLIP's keys (``ldm_key_mapping``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...errors import ErrorCode, UserError
from ...io.checkpoint import read_checkpoint
from ...io.tensors import state_dict_mismatch, write_tensors
from ...progress import OnProgress, ignore_progress
from . import ldm_key_mapping as ldm
from .loading import STABLE_DIFFUSION_SCHEDULE, USES_SOURCE_ELEVATION

_UNUSED_KEYS = {
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
"""The noise schedule, which is known, and what is left of CLIP's text encoder."""
_MIN_EMA_KEYS = 100
"""A checkpoint with more EMA tensors than this counts as having them."""
_CLIP_LAYERS = {1024: 24}
"""Layers of OpenAI's ViT-L/14; for other widths (tests) as many as the file has."""


def has_zero123_keys(keys: Iterable[str]) -> bool:
    """Whether a checkpoint with these keys, at its top or in its ``state_dict``, is a view model's."""
    return any(key.startswith((ldm.UNET, ldm.EMA)) for key in keys)


def convert(
    source: Path,
    folder: Path,
    uses_source_elevation: bool = False,
    half: bool = False,
    on_progress: OnProgress = ignore_progress,
    reserve: Callable[[int], object] = ignore_progress,
) -> bool:
    """Write ``folder`` (new) from the checkpoint ``source``; the tensors' values stay, or are rounded to 16 bits.

    Returns whether the checkpoint has averaged weights, which are used where it does.

    ``uses_source_elevation`` marks the weights of Stable Zero123, whose fourth pose number differs. ``reserve`` is
    called with the bytes to be written before any is. Raises UserError (those of ``read_checkpoint``,
    ``weights_unknown``, ``weights_mismatch``, ``weights_broken``), and whatever the two callbacks raise.
    """
    content = read_checkpoint(source)
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not has_zero123_keys(map(str, state)):
        raise UserError(ErrorCode.WEIGHTS_UNKNOWN, f"{source} is not a Zero123 checkpoint: download the original file.")
    if stranger := next((key for key, value in state.items() if not isinstance(value, torch.Tensor)), None):
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"“{stranger}” in {source} is not a tensor: download the original file."
        )
    modules = _build_modules(state, source)
    plan = _plan(modules, state, source)
    total = sum(_size(state, key) for mapping in plan.values() for key, _ in mapping.values())
    done = 0
    reserve(total)
    for component, mapping in plan.items():
        tensors = {}
        for name, (key, transform) in mapping.items():
            tensors[name] = _converted(state[key], transform, half, key, source)
            done += _size(state, key)
            on_progress(done / total)
        stem = "model" if component == "image_encoder" else "diffusion_pytorch_model"
        write_tensors(folder / component / f"{stem}.safetensors", tensors, quantize=False)
    _write_configs(folder, modules, uses_source_elevation)
    return _has_ema(state)


def _has_ema(state: dict) -> bool:
    return sum(key.startswith(ldm.EMA) for key in state) > _MIN_EMA_KEYS


def _plan(
    modules: dict[str, nn.Module], state: dict, source: Path
) -> dict[str, dict[str, tuple[str, ldm.Transform | None]]]:
    """For each component: the name of each tensor -> its key in the checkpoint and its transform.

    Raises UserError (``weights_mismatch``) where a key or a shape does not fit.
    """
    has_ema = _has_ema(state)
    mappings = {
        "unet": ldm.unet_key,
        "vae": ldm.vae_key,
        "image_encoder": ldm.clip_key,
        "clip_camera_projection": ldm.projection_key,
    }
    plan, expected = {}, {}
    for component, module in modules.items():
        plan[component] = {}
        for name, tensor in module.state_dict().items():
            if name.endswith("position_ids"):
                continue
            key, transform = mappings[component](name)
            if component == "unet" and has_ema:
                key = ldm.ema_key(key)
            plan[component][name] = key, transform
            expected[key] = _original_shape(tensor.shape, transform, key)
    actual = {
        key: tensor.shape
        for key, tensor in state.items()
        if key not in _UNUSED_KEYS and not (has_ema and key.startswith(ldm.UNET))
    }
    if mismatch := state_dict_mismatch(expected, actual):
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{source} is not a complete Zero123 checkpoint (it {mismatch}): download the original file.",
        )
    return plan


def _size(state: dict, key: str) -> int:
    """Bytes that one of our tensors takes of the original one; CLIP's queries, keys and values are one tensor there."""
    return state[key].nbytes // (3 if ".attn.in_proj_" in key else 1)


def _original_shape(shape: torch.Size, transform: ldm.Transform | None, key: str) -> tuple[int, ...]:
    """The shape that becomes ``shape`` by ``transform``."""
    if transform is None:
        return tuple(shape)
    if transform is torch.t:
        return tuple(reversed(shape))
    if ".attn.in_proj_" in key:
        return (3 * shape[0], *shape[1:])
    return (*shape, 1, 1)


def _converted(
    tensor: torch.Tensor, transform: ldm.Transform | None, half: bool, key: str, source: Path
) -> torch.Tensor:
    """Raises UserError (``weights_broken``) for a tensor that holds no finite numbers."""
    if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"{source} is damaged (“{key}” is not a finite floating-point tensor): download the original file.",
        )
    if transform is not None:
        tensor = transform(tensor).clone(memory_format=torch.contiguous_format)  # safetensors stores no views
    if half and tensor.dtype == torch.float32:
        rounded = tensor.half()
        return rounded if torch.isfinite(rounded).all() else tensor
    return tensor


def _build_modules(state: dict, source: Path) -> dict[str, nn.Module]:
    """The four components on the meta device, in the sizes that the checkpoint's own tensors have. Raises UserError."""
    unet, vae, clip, inputs, outputs = _configs(state, source)
    from diffusers import AutoencoderKL, UNet2DConditionModel  # these take seconds
    from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

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
            ErrorCode.WEIGHTS_MISMATCH, f"{source} has tensor shapes of no Zero123 model: download the original file."
        ) from error


def _configs(state: dict, source: Path) -> tuple[dict, dict, dict, int, int]:
    """The arguments of the UNet, the VAE and the CLIP image encoder, and the projection's inputs and outputs."""

    def size(name: str, dimensions: int) -> tuple[int, ...]:
        key = name if name in state else ldm.ema_key(name)
        if key not in state or state[key].dim() != dimensions:
            problem = "is missing" if key not in state else "has the wrong shape for"
            raise UserError(ErrorCode.WEIGHTS_MISMATCH, f"{source} {problem} “{name}”: download the original file.")
        return tuple(state[key].shape)

    inputs, outputs = reversed(size(ldm.PROJECTION + "weight", 2))
    unet_channels = [size(f"{ldm.UNET}input_blocks.{block}.0.out_layers.3.weight", 4)[0] for block in (1, 4, 7, 10)]
    vae_channels = [size(f"{ldm.VAE}encoder.down.{level}.block.0.conv2.weight", 4)[0] for level in range(4)]
    width, _, patch, _ = size(ldm.CLIP + "conv1.weight", 4)
    layers = {name.split(".")[5] for name in state if name.startswith(ldm.CLIP + "transformer.resblocks.")}
    unet = {
        "sample_size": 32,
        "in_channels": size(ldm.UNET + "input_blocks.0.0.weight", 4)[1],
        "out_channels": size(ldm.UNET + "out.2.weight", 4)[0],
        "block_out_channels": unet_channels,
        "cross_attention_dim": outputs,
        "attention_head_dim": 8,  # diffusers' name for the number of heads
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    }
    vae = {
        "sample_size": 256,
        "layers_per_block": 2,
        "latent_channels": size(ldm.VAE + "post_quant_conv.weight", 4)[0],
        "block_out_channels": vae_channels,
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "scaling_factor": 0.18215,
    }
    clip = {
        "hidden_size": width,
        "intermediate_size": size(ldm.CLIP + "transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        "num_hidden_layers": _CLIP_LAYERS.get(width, len(layers)),
        "num_attention_heads": width // 64,
        "image_size": patch * math.isqrt(size(ldm.CLIP + "positional_embedding", 2)[0] - 1),
        "patch_size": patch,
        "projection_dim": size(ldm.CLIP + "proj", 2)[1],
        "hidden_act": "quick_gelu",
    }
    return unet, vae, clip, inputs, outputs


def _write_configs(folder: Path, modules: Mapping[str, Any], uses_source_elevation: bool) -> None:
    modules["unet"].save_config(folder / "unet")
    modules["vae"].save_config(folder / "vae")
    modules["image_encoder"].config.save_pretrained(folder / "image_encoder")
    schedule = {
        "_class_name": "DDIMScheduler",
        **STABLE_DIFFUSION_SCHEDULE,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }
    (folder / "scheduler").mkdir()
    _write_json(folder / "scheduler" / "scheduler_config.json", schedule)
    _write_json(folder / "view.json", {})
    if uses_source_elevation:
        mark_uses_source_elevation(folder)


def mark_uses_source_elevation(folder: Path) -> None:
    """Record in the view model's ``folder`` that its fourth pose number is Stable Zero123's."""
    _write_json(folder / "view.json", {USES_SOURCE_ELEVATION: True})


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

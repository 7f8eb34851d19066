"""The starter view model's shape, and its folder in diffusers' layout."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

from backend.io.tensors import write_tensors
from backend.views.zero123.conditioning import build_elevation_head
from backend.views.zero123.model import Zero123

SIZE = 128
"""Pictures of 128 x 128, latents of 4 x 32 x 32."""
EMBEDDING = 256
ELEVATION_WIDTHS = [EMBEDDING, 128, 2]

UNET = {
    "sample_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [64, 128, 192],
    "layers_per_block": 1,
    "cross_attention_dim": 192,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [32, 64, 128],
    "layers_per_block": 1,
    "latent_channels": 4,
    "sample_size": SIZE,
    "norm_num_groups": 16,
    "scaling_factor": 1.0,
}
TOWER = {
    "hidden_size": 224,
    "intermediate_size": 896,
    "num_hidden_layers": 4,
    "num_attention_heads": 7,
    "image_size": SIZE,
    "patch_size": 16,
    "projection_dim": EMBEDDING,
}
PARTS = ("unet", "vae", "image_encoder", "clip_camera_projection", "elevation")
"""What a folder of view weights consists of."""
SCHEDULE = {
    "_class_name": "DPMSolverMultistepScheduler",
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
}


def build() -> Zero123:
    """An untrained starter view model."""
    return Zero123(
        UNet2DConditionModel(**UNET),
        AutoencoderKL(**VAE),
        CLIPVisionModelWithProjection(CLIPVisionConfig(**TOWER)),
        nn.Linear(EMBEDDING + 4, UNET["cross_attention_dim"]),
        SCHEDULE,
        build_elevation_head(ELEVATION_WIDTHS),
    )


def _write_json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def save(
    model: Zero123,
    folder: Path,
    view_plan: str,
    quantize: bool,
    parts: Collection[str] = PARTS,
    guidance_scale: float = 1.0,
) -> None:
    """Write ``parts`` of the folder that ``backend.views.loading`` reads as a joint view model.

    ``view_plan`` is that of ``backend.camera.JOINT_PLANS`` that the model was trained for; ``quantize`` stores matrices
    as int8, else as float16; ``guidance_scale`` is what the model is to be sampled with.
    """
    modules = {
        "unet": (model.unet, "diffusion_pytorch_model.safetensors", _unet_config(model)),
        "vae": (model.vae, "diffusion_pytorch_model.safetensors", _vae_config(model)),
        "image_encoder": (model.image_encoder, "model.safetensors", TOWER),
        "clip_camera_projection": (model.projection, "diffusion_pytorch_model.safetensors", None),
    }
    for name, (module, file, config) in modules.items():
        if name in parts:
            write_tensors(folder / name / file, _halved(module), quantize)
            if config:
                _write_json(folder / name / "config.json", config)
    if "elevation" in parts:
        write_tensors(folder / "elevation.safetensors", _halved(model.elevation_head), False)
    if "unet" in parts:
        settings = {
            "kind": "joint",
            "view_plan": view_plan,
            "guidance_scale": guidance_scale,
            "elevation_head": ELEVATION_WIDTHS,
        }
        _write_json(folder / "view.json", settings)
        _write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULE)


def _unet_config(model: Zero123) -> dict:
    layers = {"transformer_layers_per_block": model.unet.config["transformer_layers_per_block"]}
    return {"_class_name": "UNet2DConditionModel", **UNET, **layers}


def _vae_config(model: Zero123) -> dict:
    channels = {"out_channels": model.vae.config["out_channels"]}
    return {"_class_name": "AutoencoderKL", **VAE, **channels}


def _halved(module: nn.Module) -> dict[str, torch.Tensor]:
    """The weights as float16; zeros for queries and keys of cross-attention to a single token, which change nothing and
    would be kept as they were initialized."""
    return {
        name: torch.zeros_like(tensor.half()) if ".attn2.to_q." in name or ".attn2.to_k." in name else tensor.half()
        for name, tensor in module.state_dict().items()
        if tensor.is_floating_point()
    }

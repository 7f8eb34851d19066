"""The view model of the public weights in full size, with random numbers, and the reference's plan in plain diffusers.

Speed depends on shapes, not on values: this tells how long the public weights take without having them.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers.models.clip import CLIPVisionConfig, CLIPVisionModelWithProjection

from backend.views.zero123.loading import STABLE_DIFFUSION_SCHEDULE
from backend.views.zero123.model import Zero123

REFERENCE_PLAN = (75, 50, 75, *7 * (50,))
"""Steps of each batch of four views: the first ring, the neighbors of its first view, the second ring, the others'."""
REFERENCE_BATCH = 4
GUIDANCE_SCALE = 3.0


def full_size_modules(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """UNet, VAE, CLIP image encoder and camera projection of Zero123, 1.25 billion random numbers, seeded."""
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=768,
    )
    torch.manual_seed(0)
    earlier = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):  # a GPU draws random numbers faster
            return view_modules((320, 640, 1280, 1280), (128, 256, 512, 512), vision)
    finally:
        torch.set_default_dtype(earlier)


def view_modules(unet_widths: tuple[int, ...], vae_widths: tuple[int, ...], vision: CLIPVisionConfig) -> dict[str, Any]:
    """Modules of the public structure with these widths, by their names in diffusers' layout."""
    width = vision.projection_dim
    unet: dict[str, Any] = {"block_out_channels": unet_widths, "cross_attention_dim": width}
    vae: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": vae_widths,
        "layers_per_block": 2,
        "sample_size": 256,
    }
    return {
        "unet": UNet2DConditionModel(32, 8, 4, **unet),
        "vae": AutoencoderKL(**vae),
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "clip_camera_projection": nn.ModuleDict({"proj": nn.Linear(width + 4, width)}),
    }


def full_size_model(device: torch.device | str, low_memory: bool = False) -> Zero123:
    """The model as ``Zero123.load`` returns it on a GPU, in 16 bits."""
    modules = full_size_modules(device, torch.float16)
    model = Zero123(
        modules["unet"],
        modules["vae"],
        modules["image_encoder"],
        modules["clip_camera_projection"].proj,
        STABLE_DIFFUSION_SCHEDULE,
    )
    model.requires_grad_(False).eval()
    if low_memory:
        model.cpu()
    model.place(device, low_memory)
    return model


@torch.inference_mode()
def sample_reference_plan(model: Zero123, images: torch.Tensor) -> torch.Tensor:
    """Forty views as One-2-3-45's code samples them (arXiv 2306.16928, section 3.2), with diffusers' own classes and
    no change to them: images (1, 3, H, W) in -1..1 -> (40, 3, H, W). Every stage starts from the same image here."""
    scheduler = cast(
        DDIMScheduler, DDIMScheduler.from_config(model.schedule, clip_sample=False, set_alpha_to_one=False)
    )
    condition, embedding = model.encode_condition(images)
    poses = torch.zeros(REFERENCE_BATCH, 4, device=images.device)
    tokens = model.tokens(embedding.expand(REFERENCE_BATCH, -1), poses)
    condition = condition.half().expand(REFERENCE_BATCH, -1, -1, -1)
    conditions = torch.cat([torch.zeros_like(condition), condition])
    embeddings = torch.cat([torch.zeros_like(tokens), tokens])
    views = []
    for steps in REFERENCE_PLAN:
        scheduler.set_timesteps(steps)
        latents = torch.randn_like(condition)
        for t in scheduler.timesteps:
            joined = torch.cat([latents.repeat(2, 1, 1, 1), conditions], 1)
            predicted = model.unet(joined, t, encoder_hidden_states=embeddings, return_dict=False)[0]
            unconditional, conditional = predicted.chunk(2)
            guided = unconditional + GUIDANCE_SCALE * (conditional - unconditional)
            latents = scheduler.step(guided, int(t), latents, eta=1.0, return_dict=False)[0]
        scaled: Any = latents / model.scaling_factor
        views.append(model.vae.decode(scaled, return_dict=False)[0])
    return torch.cat(views)

"""Pictures painted by the view model on the GPU: what the surface network will meet in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from backend.options import QUALITY_PRESETS, QualityPreset
from backend.views.zero123.masks import masks_from_white_background
from backend.views.zero123.model import Zero123
from backend.views.zero123.sampler import denoise, fast_scheduler

BATCH = 512


@torch.inference_mode()
def paint(
    model: Zero123,
    inputs: torch.Tensor,
    elevations: torch.Tensor,
    azimuths: torch.Tensor,
    quality: QualityPreset = QUALITY_PRESETS["fast"],
) -> torch.Tensor:
    """Paint the views after the first from input pictures (B, S, S, 4) uint8, angles (B, V) with the input's first.

    Returns (B, V - 1, S, S, 4) uint8: color on white and mask, as the pipeline would see them.
    """
    batch, views = elevations.shape[0], elevations.shape[1] - 1
    pixels = inputs[..., :3].permute(0, 3, 1, 2).float() / 127.5 - 1
    condition, embedding = model.encode_condition(pixels)
    polar = torch.deg2rad(elevations[:, :1] - elevations[:, 1:])
    azimuth = torch.deg2rad(azimuths[:, 1:])
    pose = torch.stack([polar, azimuth.sin(), azimuth.cos(), torch.zeros_like(polar)], -1).flatten(0, 1)
    owner = torch.arange(batch, device=pose.device).repeat_interleave(views)
    painted = []
    for part in torch.arange(len(pose), device=pose.device).split(BATCH):
        tokens = model.tokens(embedding[owner[part]], pose[part])
        noise = torch.randn(len(part), model.latent_channels, model.latent_size, model.latent_size, device=pose.device)
        scheduler = fast_scheduler(model.schedule, quality.num_inference_steps)
        latents = denoise(
            model, scheduler, noise, condition[owner[part]], tokens, quality.guidance_scale, None, iter(()), int
        )
        painted.append(((model.decode(latents) + 1) / 2).clamp(0, 1))
    pictures = torch.cat(painted).permute(0, 2, 3, 1)
    with ThreadPoolExecutor() as pool:
        masks = torch.cat(
            [torch.from_numpy(m) for m in pool.map(masks_from_white_background, pictures.cpu().numpy()[:, None])]
        )
    joined = torch.cat([pictures, masks.to(pictures.device)[..., None]], -1)
    return (joined * 255 + 0.5).byte().unflatten(0, (batch, views))

"""Sampling from the joint view model: all views of a scene in the same UNet calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from backend.views.zero123.joint_attention import use_joint_attention
from backend.views.zero123.masks import masks_from_white_background
from backend.views.zero123.model import Zero123
from backend.views.zero123.sampler import fast_scheduler
from training.joint_diffusion import relative_poses
from training.pool import as_input

SCENES = 24
"""Scenes sampled together."""
PICTURES = 64
"""Pictures in the VAE's decoder at once."""


@torch.inference_mode()
def generate_joint_views(
    model: Zero123,
    pictures: torch.Tensor,
    angles: torch.Tensor,
    steps: int,
    guidance: float,
    clean: int = 1,
    seed: int = 0,
) -> torch.Tensor:
    """Generate the views of each scene that are not given.

    ``pictures`` (B, V, S, S, 3) uint8, of which the first ``clean`` views are given, the input first; ``angles``
    (B, V, 2) elevations and azimuths in degrees. ``guidance`` 1 leaves the unconditional branch out. Returns all views
    (B, V, S, S, 4) uint8, the given ones unchanged, masks last.
    """
    use_joint_attention(model.unet, angles.shape[1])
    noise = torch.Generator().manual_seed(seed)
    scenes = zip(pictures.split(SCENES), angles.split(SCENES), strict=True)
    generated = torch.cat([_sample(model, *scene, steps, guidance, clean, noise) for scene in scenes])
    generated[:, :clean] = pictures[:, :clean]
    flat = generated.flatten(0, 1)
    with ThreadPoolExecutor() as threads:
        masks = threads.map(masks_from_white_background, flat.float().div(255).cpu().numpy()[:, None])
        mask = torch.cat([torch.from_numpy(array) for array in masks]).to(flat.device)
    return torch.cat([flat, (mask[..., None] * 255 + 0.5).byte()], -1).unflatten(0, generated.shape[:2])


def _sample(
    model: Zero123,
    pictures: torch.Tensor,
    angles: torch.Tensor,
    steps: int,
    guidance: float,
    clean: int,
    noise: torch.Generator,
) -> torch.Tensor:
    """(B, V, S, S, 3) uint8 of one group of scenes; the given views come back as the VAE decodes them."""
    device, (batch, views) = pictures.device, angles.shape[:2]
    condition, embedding = model.encode_condition(as_input(pictures[:, 0]))
    given = torch.stack([condition, *(model.encode(as_input(pictures[:, view])) for view in range(1, clean))], 1)
    given = given * model.scaling_factor
    tokens = model.tokens(embedding.repeat_interleave(views, 0), relative_poses(angles).flatten(0, 1))
    condition = condition.repeat_interleave(views, 0)
    latents = torch.randn(batch, views - clean, *given.shape[2:], generator=noise).to(device)
    scheduler = fast_scheduler(model.schedule, steps)
    for t in scheduler.timesteps.tolist():
        timesteps = torch.full((batch, views), float(t), device=device)
        timesteps[:, :clean] = 0

        def predict(conditioned: float, timesteps=timesteps, latents=latents) -> torch.Tensor:
            joined = torch.cat([given * conditioned, latents], 1).flatten(0, 1)
            predicted = model.denoise(joined, timesteps.flatten(), condition * conditioned, tokens * conditioned)
            return predicted.unflatten(0, (batch, views))[:, clean:]

        prediction = predict(1.0)
        if guidance != 1:
            unconditional = predict(0.0)
            prediction = unconditional + guidance * (prediction - unconditional)
        latents = scheduler.step(prediction, t, latents, return_dict=False)[0]
    decoded = torch.cat([model.decode(part) for part in torch.cat([given, latents], 1).flatten(0, 1).split(PICTURES)])
    return (((decoded + 1) / 2).clamp(0, 1) * 255 + 0.5).byte().permute(0, 2, 3, 1).unflatten(0, (batch, views))

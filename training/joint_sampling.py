"""Sampling from the joint view model, many scenes at once, with the masks that a job would use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from backend.views.zero123.joint_sampler import sample_jointly
from backend.views.zero123.masks import masks_from_white_background
from backend.views.zero123.model import Zero123
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
    generator = torch.Generator().manual_seed(seed)
    shape = angles.shape[1] - clean, model.latent_channels, model.latent_size, model.latent_size
    images = []
    for some, cameras in zip(pictures[:, :clean].split(SCENES), angles.split(SCENES), strict=True):
        given = as_input(some.flatten(0, 1)).unflatten(0, some.shape[:2])
        noise = torch.randn(len(some), *shape, generator=generator).to(angles.device)
        sampled = sample_jointly(model, given, cameras, noise, steps, guidance, decode_batch_size=PICTURES)
        images.append((sampled * 255 + 0.5).byte().permute(0, 1, 3, 4, 2))
    views = torch.cat([pictures[:, :clean], torch.cat(images)], 1)
    flat = views.flatten(0, 1)
    with ThreadPoolExecutor() as threads:
        masks = threads.map(masks_from_white_background, flat.float().div(255).cpu().numpy()[:, None])
        mask = torch.cat([torch.from_numpy(array) for array in masks]).to(flat.device)
    return torch.cat([flat, (mask[..., None] * 255 + 0.5).byte()], -1).unflatten(0, views.shape[:2])

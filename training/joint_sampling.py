"""Sampling from the joint view model, many scenes at once, with the masks that a job would use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from backend.views.zero123.joint_sampler import sample_jointly
from backend.views.zero123.masks import masks_of_decoded
from backend.views.zero123.model import Zero123
from training.images import as_input

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
    generated = []
    for some, cameras in zip(pictures[:, :clean].split(SCENES), angles.split(SCENES), strict=True):
        given = as_input(some.flatten(0, 1)).unflatten(0, some.shape[:2])
        noise = torch.randn(len(some), *shape, generator=generator).to(angles.device)
        sampled = sample_jointly(model, given, cameras, noise, steps, guidance, decode_batch_size=PICTURES)
        generated.append(_with_masks(sampled.permute(0, 1, 3, 4, 2)))
    return torch.cat([_with_masks(pictures[:, :clean].float() / 255), torch.cat(generated)], 1)


def _with_masks(images: torch.Tensor) -> torch.Tensor:
    """Images (B, V, S, S, C) 0..1 as the VAE decodes them -> (B, V, S, S, 4) uint8, masks last."""
    flat = images.flatten(0, 1).cpu().numpy()
    with ThreadPoolExecutor() as threads:
        masks = np.concatenate(list(threads.map(masks_of_decoded, flat[:, None])))
    joined = torch.cat([images[..., :3].flatten(0, 1), torch.from_numpy(masks).to(images.device)[..., None]], -1)
    return (joined * 255 + 0.5).byte().unflatten(0, images.shape[:2])

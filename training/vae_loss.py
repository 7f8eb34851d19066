"""What the VAE of the starter view model is trained to: colors, edges, hues and masks."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def reconstruction_loss(decoded: torch.Tensor, pictures: torch.Tensor, mask_weight: float) -> torch.Tensor:
    """Loss of decoded images with masks (B, 4, S, S), about -1..1, against pictures (B, 4, S, S) in -1..1."""
    error = (decoded - pictures)[:, :3]
    mask_error = (decoded - pictures)[:, 3]
    colors = error.abs().mean() + 2 * error.square().mean() + _details(error).abs().mean() + _hues(error)
    return colors + mask_weight * (mask_error.abs().mean() + mask_error.square().mean())


def _details(images: torch.Tensor) -> torch.Tensor:
    """Differences of neighboring pixels, down and across, at two scales."""
    half = F.avg_pool2d(images, 2)
    return torch.cat([scale.diff(dim=axis).flatten(1) for scale in (images, half) for axis in (2, 3)], 1)


def _hues(error: torch.Tensor) -> torch.Tensor:
    """How far hues are off, and areas as a whole.

    Without this a VAE settles where one axis of color (green to magenta) is given up: edges are worth more.
    """
    return 2 * (error - error.mean(1, keepdim=True)).abs().mean() + 4 * F.avg_pool2d(error, 8).abs().mean()

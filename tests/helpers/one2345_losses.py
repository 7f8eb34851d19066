"""The training losses of One-2-3-45's network (the released configuration)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tests.helpers.one2345_rendering import Rendered

ANNEALED_AFTER = 25_000
"""Steps until ``annealing`` of ``render`` reaches 1."""
SPARSE_WEIGHT, SPARSE_FULL_AFTER = 0.02, 50_000
MASK_WEIGHT, MASK_FROM = 0.1, 50_000
EIKONAL_WEIGHT = 0.1
DECAY = 100
"""Decay rate of the sparseness term: distances beyond a few hundredths cost almost nothing."""
FEWEST_BACKGROUND = 0.02
"""Least fraction of background rays for which the mask term is used."""


@dataclass(frozen=True)
class Losses:
    """Each term () and its weight where that changes; ``total`` is what is minimized."""

    color: torch.Tensor
    eikonal: torch.Tensor
    sparse: torch.Tensor
    sparse_weight: float
    mask: torch.Tensor
    mask_weight: float
    total: torch.Tensor


def annealing(step: int) -> float:
    return min(1.0, step / ANNEALED_AFTER)


def losses(
    rendered: Rendered, color: torch.Tensor, mask: torch.Tensor, random_distance: torch.Tensor, step: int
) -> Losses:
    """``color`` (R, 3) and ``mask`` (R, 1), 1 on the object, are the rays' ground truth; ``random_distance`` (P, 1) the
    distances at random points of the cube."""
    valid = rendered.valid.float().expand_as(color)
    color_error = ((rendered.color - color).abs() * valid).sum() / (valid.sum() + 1e-5)
    sparse = (_closeness(rendered.distance) + _closeness(random_distance)) / 2
    sparse_weight = SPARSE_WEIGHT * min(1.0, step / SPARSE_FULL_AFTER)
    enough = (mask < 0.5).float().mean() > FEWEST_BACKGROUND
    mask_error = (rendered.weights_sum - mask).abs().mean() * enough
    mask_weight = MASK_WEIGHT if step >= MASK_FROM else 0.0
    total = color_error + EIKONAL_WEIGHT * rendered.gradient_error + sparse_weight * sparse + mask_weight * mask_error
    return Losses(color_error, rendered.gradient_error, sparse, sparse_weight, mask_error, mask_weight, total)


def _closeness(distance: torch.Tensor) -> torch.Tensor:
    return torch.exp(-DECAY * distance.abs()).mean()

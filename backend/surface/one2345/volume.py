"""Back-projection of the views' features into the cube, and look-ups in the volume that comes of it.

Arrays are indexed [x, y, z]; the first and last voxel lie on the faces of [-1, 1]^3.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

RESOLUTION = 96
VOXEL = 0.02105263
"""2 / 95 as the reference rounds it."""

BLOCK = 1 << 16
"""Voxels back-projected at once."""


def voxels(device: torch.device | str) -> torch.Tensor:
    """All voxels (RESOLUTION^3, 3) in normalized coordinates, z fastest."""
    steps = torch.arange(RESOLUTION, device=device) * VOXEL - 1
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def aggregate(maps: torch.Tensor, projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature maps (N, C, S, S) and projections (N, 4, 4) -> variance and mean over the views (1, 2 C, R, R, R), zero
    outside the voxels (R, R, R) bool that at least two views see.

    The sums also take in what views "see" behind themselves, mirrored; only the number of views does not.
    """
    pooled, mask = zip(*(_pool(maps, projections, block) for block in voxels(maps.device).split(BLOCK)), strict=True)
    return torch.cat(pooled, 1).view(1, -1, *[RESOLUTION] * 3), torch.cat(mask).view([RESOLUTION] * 3)


def _pool(maps: torch.Tensor, projections: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``aggregate`` for some places (P, 3): (2 C, P) and (P,) bool."""
    seen = places.new_zeros(len(places))
    total = square = places.new_zeros(maps.shape[1], len(places))
    homogeneous = torch.cat([places, torch.ones_like(places[:, :1])], 1).T.contiguous()
    for picture, projection in zip(maps, projections, strict=True):
        column, row, depth, _ = (projection @ homogeneous).unbind()
        positive = torch.where(depth >= 0, depth.clamp_min(1e-6), depth)
        plane = 2 * (torch.stack([column, row], 1) / positive[:, None]) / (picture.shape[-1] - 1) - 1
        seen += (plane.abs() <= 1).all(1) & (depth > 0)
        found = F.grid_sample(picture[None], plane[None, None], align_corners=True)[0, :, 0]
        total, square = total + found, square + found.square()
    mask = seen > 1
    share = 1 / (seen + 1e-5)
    mean = total * share
    return torch.cat([square * share - mean.square(), mean]) * mask, mask


def look_up(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Trilinear values (P, C) of a volume (C, R, R, R) at points (P, 3), differentiable in the points.

    Zero where a point lies on or outside a lower face, or a voxel or more outside an upper one; in that last voxel the
    border goes on.
    """
    side = volume.shape[-1]
    place = (points + 1) / 2 * (side - 1)
    inside = ((place > 0) & (place < side)).all(1, keepdim=True)
    low = place.detach().clamp(-1, side).floor()
    share = place - low
    flat = volume.flatten(1).T
    found = 0
    for corner in range(8):
        step = torch.tensor([corner >> 2, corner >> 1 & 1, corner & 1], device=points.device)
        x, y, z = (low.long() + step).clamp(0, side - 1).unbind(1)
        weight = torch.where(step.bool(), share, 1 - share).prod(1, keepdim=True)
        found = found + weight * flat[(x * side + y) * side + z]
    return torch.where(inside, found, torch.zeros_like(found))


def sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The same with the border fading to zero within one voxel on all sides; only for values, not for slopes."""
    grid = points.flip(1)[None, None, None]  # the library wants the fastest axis first
    return F.grid_sample(volume[None], grid, align_corners=True)[0, :, 0, 0].T

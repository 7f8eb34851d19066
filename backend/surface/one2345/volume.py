"""Back-projection of the views' features into the cube, and interpolation in the resulting volume.

Arrays are indexed [x, y, z]; the centers of the first and last voxels lie on the faces of [-1, 1]^3.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

RESOLUTION = 96
VOXEL = 0.02105263
"""2 / 95 as the reference rounds it."""

BLOCK_SIZE = 1 << 16
"""Voxels back-projected at once."""


def voxel_centers(device: torch.device | str) -> torch.Tensor:
    """Centers of all voxels (RESOLUTION^3, 3) in normalized coordinates, z fastest."""
    steps = torch.arange(RESOLUTION, device=device) * VOXEL - 1
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)


def aggregate_views(maps: torch.Tensor, projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature maps (N, C, S, S) and projections (N, 4, 4) -> variance and mean over the views (1, 2 C, R, R, R), zero
    outside the mask (R, R, R) bool of voxels that at least two views see.

    The sums include the mirrored samples of voxels behind a camera; the number of views does not count them.
    """
    centers = voxel_centers(maps.device)
    # Filled block by block: to join the blocks at the end would take the memory of all of them twice.
    aggregated = maps.new_empty(2 * maps.shape[1], len(centers))
    mask = torch.empty(len(centers), dtype=torch.bool, device=maps.device)
    for start in range(0, len(centers), BLOCK_SIZE):
        block = slice(start, start + BLOCK_SIZE)
        aggregated[:, block], mask[block] = _aggregate_block(maps, projections, centers[block])
    return aggregated.view(1, -1, *[RESOLUTION] * 3), mask.view([RESOLUTION] * 3)


def _aggregate_block(
    maps: torch.Tensor, projections: torch.Tensor, points: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``aggregate_views`` at points (P, 3): (2 C, P) and (P,) bool."""
    visible_views = points.new_zeros(len(points))
    total = square = points.new_zeros(maps.shape[1], len(points))
    homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], 1).T.contiguous()
    for feature_map, projection in zip(maps, projections, strict=True):
        column, row, depth, _ = (projection @ homogeneous).unbind()
        divisor = torch.where(depth >= 0, depth.clamp_min(1e-6), depth)
        plane = 2 * (torch.stack([column, row], 1) / divisor[:, None]) / (feature_map.shape[-1] - 1) - 1
        visible_views += (plane.abs() <= 1).all(1) & (depth > 0)
        sampled = F.grid_sample(feature_map[None], plane[None, None], align_corners=True)[0, :, 0]
        total, square = total + sampled, square + sampled.square()
    mask = visible_views > 1
    weight = 1 / (visible_views + 1e-5)
    mean = total * weight
    return torch.cat([square * weight - mean.square(), mean]) * mask, mask


def interpolate(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Trilinear values (P, C) of a volume (C, R, R, R) at points (P, 3), differentiable in the points.

    Zero where a point lies on or outside a lower face, or a voxel or more outside an upper one; within that last voxel
    the border value repeats.
    """
    side = volume.shape[-1]
    index = (points + 1) / 2 * (side - 1)
    inside = ((index > 0) & (index < side)).all(1, keepdim=True)
    low = index.detach().clamp(-1, side).floor()
    fraction = index - low
    flat = volume.flatten(1).T
    values = points.new_zeros(())
    corner = torch.arange(8, device=points.device)  # made there: a GPU would be waited for to copy it
    for step in torch.stack([corner >> 2, corner >> 1 & 1, corner & 1], 1):
        x, y, z = (low.long() + step).clamp(0, side - 1).unbind(1)
        weight = torch.where(step.bool(), fraction, 1 - fraction).prod(1, keepdim=True)
        values = values + weight * flat[(x * side + y) * side + z]
    return torch.where(inside, values, torch.zeros_like(values))


def sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Trilinear values (P, C) like ``interpolate``, but fading to zero within one voxel outside on all sides; not for
    gradients."""
    grid = points.flip(1)[None, None, None]  # grid_sample expects the fastest axis first
    return F.grid_sample(volume[None], grid, align_corners=True)[0, :, 0, 0].T

"""Volume rendering of a signed distance field (NeuS, arXiv 2106.10689), with which One-2-3-45's network was trained.

Reconstruction does not need it. All coordinates are normalized.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from backend.surface.one2345.color import SourceViews, gather_point_features
from backend.surface.one2345.network import One2345
from backend.surface.one2345.poses import INTRINSICS, NormalizedFrame

COARSE, FINE, ROUNDS = 64, 16, 4
"""Uniform samples along a ray; then samples added per round where the surface is likely; rounds."""
SHARPNESS = 64
"""Sharpness of the first round; it doubles with every round."""
OUTSIDE = 100.0
"""The distance in voxels outside the mask."""
COLOR_BLOCK = 1 << 12


@dataclass(frozen=True)
class Rendered:
    """The rendering of R rays of S samples."""

    color: torch.Tensor
    """(R, 3), on white."""
    depth: torch.Tensor
    """(R, 1): along the ray, not divided by the weights' sum."""
    depth_variance: torch.Tensor
    """(R, 1)."""
    weights: torch.Tensor
    """(R, S)."""
    weights_sum: torch.Tensor
    """(R, 1): 1 where the ray hits the object."""
    distance: torch.Tensor
    """(R * S, 1)."""
    gradient_error: torch.Tensor
    """(): mean squared deviation of the gradients' norms from 1, inside the mask."""
    valid: torch.Tensor
    """(R, 1) bool: enough samples of the ray are visible in two views."""


def near_far(frame: NormalizedFrame) -> np.ndarray:
    """Depths (1 + N, 2) between which the cube lies, for the reference and the N source cameras. Near is negative where
    the camera is inside the unit ball."""
    centers = np.concatenate([reference_camera(frame)[None, :3, 3], frame.camera_to_world[:, :3, 3]])
    distance = np.linalg.norm(centers.astype(np.float64), axis=1)
    return np.stack([0.95 * (distance - 1), 1.05 * (distance + 1)], 1).astype(np.float32)


def reference_camera(frame: NormalizedFrame) -> np.ndarray:
    """(4, 4): reference camera coordinates to normalized coordinates."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, 3] = -frame.center / np.float32(frame.scale)
    return matrix


def inverse_deviation(network: One2345) -> torch.Tensor:
    """(): the inverse standard deviation of the logistic density around the surface."""
    return torch.exp(10 * network.variance_network_lod0.variance).clamp(1e-6, 1e6)


def camera_rays(camera: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins and unit directions (R, 3) of pixels of a camera (4, 4) to normalized coordinates, OpenCV axes."""
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], 1).to(camera)
    local = F.normalize(pixels @ torch.linalg.inv(torch.as_tensor(INTRINSICS)).to(camera).T, dim=1)
    return camera[:3, 3].expand(len(local), 3), local @ camera[:3, :3].T


@torch.no_grad()
def sample_depths(
    network: One2345, sources: SourceViews, origins: torch.Tensor, directions: torch.Tensor, near: float, far: float
) -> torch.Tensor:
    """Sorted depths (R, 128) along rays, dense where they hit the surface."""
    z = torch.linspace(near, far, COARSE, device=origins.device).expand(len(origins), -1)
    distance = _distance(network, sources, _points(origins, directions, z))
    for index in range(ROUNDS):
        inside = in_visible_voxel(sources, _points(origins, directions, z))
        new_z = _importance_sample(z, distance, inside, SHARPNESS * 2**index)
        points = _points(origins, directions, new_z)
        new_distance = torch.where(in_visible_voxel(sources, points), _distance(network, sources, points), OUTSIDE)
        z, order = torch.cat([z, new_z], 1).sort(1)
        distance = torch.cat([distance, new_distance], 1).gather(1, order)
    return z


def render(
    network: One2345,
    sources: SourceViews,
    origins: torch.Tensor,
    directions: torch.Tensor,
    z: torch.Tensor,
    last: float,
    annealing: float = 1.0,
) -> Rendered:
    """Rays (R, 3) with sample depths ``z`` (R, S); ``last``: the length of the last sample's interval.

    ``annealing`` 0..1: how far surfaces that face away from the camera are suppressed. The rays' origin is the camera
    for which colors are computed.
    """
    steps = torch.cat([z.diff(dim=1), torch.full_like(z[:, :1], last)], 1)
    middle = z + steps / 2
    positions = _points(origins, directions, middle)
    inside = in_visible_voxel(sources, positions).flatten()
    if not inside.any():
        inside[:100] = True
    points = positions.flatten(0, 1)[inside]
    ray_directions = directions[:, None].expand_as(positions).flatten(0, 1)[inside]
    inner, gradient = network.sdf_network_lod0.gradient(sources.volume, points)
    distance = inner.new_full((len(inside), 1), OUTSIDE).masked_scatter(inside[:, None], inner)

    cosine = (gradient * ray_directions).sum(1, keepdim=True)
    falling = -(F.relu(0.5 - 0.5 * cosine) * (1 - annealing) + F.relu(-cosine) * annealing)
    half = falling.clamp(-10, 10) * steps.flatten()[inside][:, None] / 2
    sharpness = inverse_deviation(network)
    before, after = torch.sigmoid((inner - half) * sharpness), torch.sigmoid((inner + half) * sharpness)
    opacity = ((before - after + 1e-5) / (before + 1e-5)).clamp(0, 1)
    alpha = opacity.new_zeros(len(inside), 1).masked_scatter(inside[:, None], opacity).view_as(z)
    weights = _weights(alpha)

    outwards = origins[:, None].expand_as(positions).flatten(0, 1)[inside] - points
    outwards = outwards / (outwards.norm(dim=1, keepdim=True) + 1e-6)
    colors, in_two_views = [], []
    for block, target in zip(points.split(COLOR_BLOCK), outwards.split(COLOR_BLOCK), strict=True):
        inputs = gather_point_features(sources, block, target)
        colors.append(network.rendering_network_lod0(inputs))
        in_two_views.append(inputs.valid.sum(0) >= 2)
    color = inner.new_zeros(len(inside), 3).masked_scatter(inside[:, None], torch.cat(colors)).view(*z.shape, 3)
    visible = torch.zeros_like(inside).masked_scatter(inside, torch.cat(in_two_views)).view_as(z)

    total = weights.sum(1, keepdim=True)
    depth = (weights * middle).sum(1, keepdim=True)
    return Rendered(
        (weights[..., None] * color).sum(1) + (1 - total),
        depth,
        (weights * (middle - depth).square()).sum(1, keepdim=True),
        weights,
        total,
        distance,
        (gradient.norm(dim=1) - 1).square().mean(),
        visible.sum(1, keepdim=True) > 8,
    )


def _points(origins: torch.Tensor, directions: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return origins[:, None] + directions[:, None] * z[..., None]


def _distance(network: One2345, sources: SourceViews, points: torch.Tensor) -> torch.Tensor:
    """(R, S, 3) -> (R, S)."""
    return network.sdf_network_lod0.distance(sources.volume, points.flatten(0, 1)).view(points.shape[:2])


def in_visible_voxel(sources: SourceViews, points: torch.Tensor) -> torch.Tensor:
    """(R, S, 3) -> (R, S) bool: whether the nearest voxel is in the mask. Voxels are cells that fill the cube here,
    unlike in every other interpolation."""
    grid = points.flip(-1)[None, None]
    nearest = F.grid_sample(sources.mask[None, None].float(), grid, mode="nearest", align_corners=False)
    return nearest[0, 0, 0] > 0


def _weights(alpha: torch.Tensor) -> torch.Tensor:
    """The samples' weights (R, S): opacity times the transmittance of the samples in front."""
    transmittance = torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha[:, :-1] + 1e-7], 1)
    return alpha * transmittance.cumprod(1)


def _importance_sample(z: torch.Tensor, distance: torch.Tensor, inside: torch.Tensor, sharpness: float) -> torch.Tensor:
    """``FINE`` more depths (R, FINE) by inverse transform sampling of the weights of the present samples."""
    steps = z.diff(dim=1)
    both = (inside[:, 1:] & inside[:, :-1]).float()
    slope = distance.diff(dim=1) / (steps + 1e-5)
    slope = torch.minimum(torch.cat([torch.zeros_like(slope[:, :1]), slope[:, :-1]], 1), slope).clamp(-10, 0) * both
    middle, half = (distance[:, 1:] + distance[:, :-1]) / 2, slope * steps / 2
    before, after = torch.sigmoid((middle - half) * sharpness), torch.sigmoid((middle + half) * sharpness)
    weights = _weights(both * (before - after + 1e-5) / (before + 1e-5)) + 1e-5
    cdf = F.pad((weights / weights.sum(1, keepdim=True)).cumsum(1), (1, 0))
    quantiles = ((torch.arange(FINE, device=z.device) + 0.5) / FINE).expand(len(z), -1).contiguous()
    above = torch.searchsorted(cdf, quantiles, right=True).clamp_max(z.shape[1] - 1)
    below = (above - 1).clamp_min(0)
    low, high = cdf.gather(1, below), cdf.gather(1, above)
    width = torch.where(high - low < 1e-5, torch.ones_like(low), high - low)
    start, end = z.gather(1, below), z.gather(1, above)
    return start + (quantiles - low) / width * (end - start)

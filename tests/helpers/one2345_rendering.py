"""Volume rendering of a signed distance (NeuS, arXiv 2106.10689), as One-2-3-45's network was trained with.

Extraction needs none of it: it is how pictures become a loss. Everything is in normalized coordinates, differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from backend.surface.one2345.color import Sources, gather
from backend.surface.one2345.network import One2345
from backend.surface.one2345.poses import INTRINSICS

COARSE, FINE, ROUNDS = 64, 16, 4
"""Samples spread evenly over a ray, then added where the surface is thought to be, in so many rounds."""
SHARPNESS = 64
"""Of the first round; doubles with each."""
OUTSIDE = 100.0
"""The distance where nothing is known."""
COLOR_BLOCK = 1 << 12


@dataclass(frozen=True)
class Rendered:
    """What R rays of S samples see."""

    color: torch.Tensor
    """(R, 3) on white."""
    depth: torch.Tensor
    """(R, 1): along the ray, not divided by the weights' sum."""
    depth_variance: torch.Tensor
    """(R, 1)."""
    weights: torch.Tensor
    """(R, S)."""
    weights_sum: torch.Tensor
    """(R, 1): 1 where the ray meets something solid."""
    distance: torch.Tensor
    """(R * S, 1)."""
    gradient_error: torch.Tensor
    """(): how far slopes in the seen part are from 1, squared."""
    valid: torch.Tensor
    """(R, 1) bool: enough samples of the ray are seen by two views."""


def camera_rays(camera: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins and unit directions (R, 3) of pixels of a camera (4, 4), OpenCV axes, to normalized coordinates."""
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], 1).to(camera)
    local = F.normalize(pixels @ torch.linalg.inv(torch.as_tensor(INTRINSICS)).to(camera).T, dim=1)
    return camera[:3, 3].expand(len(local), 3), local @ camera[:3, :3].T


@torch.no_grad()
def place_samples(
    network: One2345, sources: Sources, origins: torch.Tensor, directions: torch.Tensor, near: float, far: float
) -> torch.Tensor:
    """Depths (R, 128) along rays, in order, dense where they meet the surface."""
    z = torch.linspace(near, far, COARSE, device=origins.device).expand(len(origins), -1)
    distance = _distance(network, sources, _points(origins, directions, z))
    for turn in range(ROUNDS):
        more = _refine(z, distance, _seen(sources, _points(origins, directions, z)), SHARPNESS * 2**turn)
        places = _points(origins, directions, more)
        found = torch.where(_seen(sources, places), _distance(network, sources, places), OUTSIDE)
        z, order = torch.cat([z, more], 1).sort(1)
        distance = torch.cat([distance, found], 1).gather(1, order)
    return z


def render(
    network: One2345,
    sources: Sources,
    origins: torch.Tensor,
    directions: torch.Tensor,
    z: torch.Tensor,
    last: float,
    annealing: float = 1.0,
) -> Rendered:
    """Rays (R, 3) with sample depths ``z`` (R, S); ``last``: the length that the last sample stands for.

    ``annealing`` 0..1: how far surfaces seen from behind count as such. The rays' origin is the camera that colors are
    wanted for.
    """
    steps = torch.cat([z.diff(dim=1), torch.full_like(z[:, :1], last)], 1)
    middle = z + steps / 2
    places = _points(origins, directions, middle)
    seen = _seen(sources, places).flatten()
    if not seen.any():
        seen[:100] = True
    points, towards = places.flatten(0, 1)[seen], directions[:, None].expand_as(places).flatten(0, 1)[seen]
    inner, slope = network.sdf_network_lod0.gradient(sources.volume, points)
    distance = inner.new_full((len(seen), 1), OUTSIDE).masked_scatter(seen[:, None], inner)

    cosine = (slope * towards).sum(1, keepdim=True)
    falling = -(F.relu(0.5 - 0.5 * cosine) * (1 - annealing) + F.relu(-cosine) * annealing)
    half = falling.clamp(-10, 10) * steps.flatten()[seen][:, None] / 2
    sharpness = network.variance_network_lod0()
    before, after = torch.sigmoid((inner - half) * sharpness), torch.sigmoid((inner + half) * sharpness)
    opaque = ((before - after + 1e-5) / (before + 1e-5)).clamp(0, 1)
    alpha = opaque.new_zeros(len(seen), 1).masked_scatter(seen[:, None], opaque).view_as(z)
    weights = _weights(alpha)

    outwards = origins[:, None].expand_as(places).flatten(0, 1)[seen] - points
    outwards = outwards / (outwards.norm(dim=1, keepdim=True) + 1e-6)
    colors, often = [], []
    for block, target in zip(points.split(COLOR_BLOCK), outwards.split(COLOR_BLOCK), strict=True):
        gathered = gather(sources, block, target)
        colors.append(network.rendering_network_lod0(gathered))
        often.append(gathered.valid.sum(0) >= 2)
    color = inner.new_zeros(len(seen), 3).masked_scatter(seen[:, None], torch.cat(colors)).view(*z.shape, 3)
    twice = torch.zeros_like(seen).masked_scatter(seen, torch.cat(often)).view_as(z)

    total = weights.sum(1, keepdim=True)
    depth = (weights * middle).sum(1, keepdim=True)
    return Rendered(
        (weights[..., None] * color).sum(1) + (1 - total),
        depth,
        (weights * (middle - depth).square()).sum(1, keepdim=True),
        weights,
        total,
        distance,
        (slope.norm(dim=1) - 1).square().mean(),
        twice.sum(1, keepdim=True) > 8,
    )


def _points(origins: torch.Tensor, directions: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return origins[:, None] + directions[:, None] * z[..., None]


def _distance(network: One2345, sources: Sources, places: torch.Tensor) -> torch.Tensor:
    """(R, S, 3) -> (R, S)."""
    return network.sdf_network_lod0.distance(sources.volume, places.flatten(0, 1)).view(places.shape[:2])


def _seen(sources: Sources, places: torch.Tensor) -> torch.Tensor:
    """(R, S, 3) -> (R, S) bool: whether the nearest voxel is seen, where voxels, other than in all other look-ups, are
    cells that fill the cube."""
    grid = places.flip(-1)[None, None]
    found = F.grid_sample(sources.mask[None, None].float(), grid, mode="nearest", align_corners=False)
    return found[0, 0, 0] > 0


def _weights(alpha: torch.Tensor) -> torch.Tensor:
    """How much each sample is seen: its opacity times what those before it let through."""
    through = torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha[:, :-1] + 1e-7], 1)
    return alpha * through.cumprod(1)


def _refine(z: torch.Tensor, distance: torch.Tensor, seen: torch.Tensor, sharpness: float) -> torch.Tensor:
    """``FINE`` more depths (R, FINE) by inverse transform sampling of the weights that these samples suggest."""
    steps = z.diff(dim=1)
    both = (seen[:, 1:] & seen[:, :-1]).float()
    slope = distance.diff(dim=1) / (steps + 1e-5)
    slope = torch.minimum(torch.cat([torch.zeros_like(slope[:, :1]), slope[:, :-1]], 1), slope).clamp(-10, 0) * both
    middle, half = (distance[:, 1:] + distance[:, :-1]) / 2, slope * steps / 2
    before, after = torch.sigmoid((middle - half) * sharpness), torch.sigmoid((middle + half) * sharpness)
    share = _weights(both * (before - after + 1e-5) / (before + 1e-5)) + 1e-5
    reached = F.pad((share / share.sum(1, keepdim=True)).cumsum(1), (1, 0))
    wanted = ((torch.arange(FINE, device=z.device) + 0.5) / FINE).expand(len(z), -1).contiguous()
    above = torch.searchsorted(reached, wanted, right=True).clamp_max(z.shape[1] - 1)
    below = (above - 1).clamp_min(0)
    low, high = reached.gather(1, below), reached.gather(1, above)
    width = torch.where(high - low < 1e-5, torch.ones_like(low), high - low)
    start, end = z.gather(1, below), z.gather(1, above)
    return start + (wanted - low) / width * (end - start)

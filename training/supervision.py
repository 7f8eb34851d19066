"""What the surface network learns from: points near each surface and around it, with exact distances and colors.

Points near the surface are spread evenly over it, inside and outside: the F-score samples a surface evenly too. Each
has a partner a voxel away; how much their distances differ supervises the gradient without a second derivative.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from procedural.shading import shade
from procedural.triton_renderer import Scenes
from training.solid_meshes import SolidMeshes

NEAR_POINTS = 16384
"""Points near the surface of every scene; the first third lie on it."""
FREE_POINTS = 8192
"""Points anywhere in the volume."""
CANDIDATES = 4
"""Random points among which the nearest to a procedural surface are chosen, for each of those. Projecting any point
onto the surface would favor what has most space around it, and hardly reach the inside of a narrow vessel."""
SPREADS = 0.006, 0.03
"""Standard deviations of the distances from the surface, in world units; each for half of the points."""
PARTNER_DISTANCES = 0.01, 0.02
"""A partner's least and greatest distance, in world units."""


def surface_count(near: int) -> int:
    """How many of ``near`` points lie on the surface."""
    return near // 3


def mesh_supervision(solids: SolidMeshes, half_side: float) -> dict[str, torch.Tensor]:
    """``near``, ``partner`` (B, NEAR_POINTS, 3) and ``free`` (B, FREE_POINTS, 3) world points, their signed distances
    ``near_distance``, ``partner_distance`` and ``free_distance``, and the ``color`` (B, points on the surface, 3)
    float16 in 0..1."""
    points, colors = solids.sample_surface(NEAR_POINTS)
    return _with_distances(solids, points, colors[:, : surface_count(NEAR_POINTS)], half_side)


def procedural_supervision(scenes: Scenes, half_side: float) -> dict[str, torch.Tensor]:
    """The same of procedural scenes."""
    points, normals = _project_onto_surface(scenes, half_side)
    on_surface = slice(0, surface_count(NEAR_POINTS))
    _, albedo = scenes.distance(points[:, on_surface], color=True)
    colors = albedo * shade(normals[:, on_surface], scenes.light)[..., None]
    return _with_distances(scenes, points, colors.clamp(0, 1), half_side)


def _with_distances(
    shapes: Scenes | SolidMeshes, points: torch.Tensor, colors: torch.Tensor, half_side: float
) -> dict[str, torch.Tensor]:
    """Spread surface points (B, NEAR_POINTS, 3), add the others, and measure all distances."""
    batch, device = len(points), points.device
    first = torch.rand(batch, NEAR_POINTS, 1, device=device) < 0.5
    spread = torch.where(first, *SPREADS)
    spread[:, : surface_count(NEAR_POINTS)] = 0
    near = (points + torch.randn_like(points) * spread).clamp(-half_side, half_side)
    low, high = PARTNER_DISTANCES
    length = low + (high - low) * torch.rand(batch, NEAR_POINTS, 1, device=device)
    partner = near + length * F.normalize(torch.randn_like(near), dim=-1)
    free = (torch.rand(batch, FREE_POINTS, 3, device=device) * 2 - 1) * half_side
    distance = shapes.distance(torch.cat([near, partner, free], 1))
    sizes = [NEAR_POINTS, NEAR_POINTS, FREE_POINTS]
    values = dict(zip(("near_distance", "partner_distance", "free_distance"), distance.split(sizes, 1), strict=True))
    return {"near": near, "partner": partner, "free": free, "color": colors.half(), **values}


def _project_onto_surface(scenes: Scenes, half_side: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (B, NEAR_POINTS, 3) on the surfaces of procedural scenes, in random order, and their normals."""
    batch, device = len(scenes), scenes.rows.device
    points = (torch.rand(batch, CANDIDATES * NEAR_POINTS, 3, device=device) * 2 - 1) * half_side
    nearest = scenes.distance(points).abs().topk(NEAR_POINTS, largest=False, sorted=False).indices
    nearest = nearest.gather(1, torch.rand(batch, NEAR_POINTS, device=device).argsort(1))
    points = points.gather(1, nearest[..., None].expand(-1, -1, 3))
    for _ in range(2):
        normals = scenes.normals(points)
        points = points - normals * scenes.distance(points)[..., None]
    return points.clamp(-half_side, half_side), normals

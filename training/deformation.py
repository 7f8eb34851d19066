"""Objects of packs bent, twisted and tapered, so that no two scenes show the same shape."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

DEFORMED_SHARE = 0.4
STRONGEST = np.array([0.9, 0.35, 0.3], np.float32)
"""Twist in radians, taper and bend at the end of an object, half of its longest side from its center."""
_STEP = 1e-2


def sample_deformations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random twist, taper and bend (count, 3) float32, each of an object as likely as not; zeros for most objects."""
    deformed = rng.random((count, 1)) < DEFORMED_SHARE
    chosen = deformed & (rng.random((count, 3)) < 0.5)
    return (chosen * rng.uniform(-1, 1, (count, 3)) * STRONGEST).astype(np.float32)


def deform(
    triangles: torch.Tensor, normals: torch.Tensor, deformations: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Triangles (B, F, 3, 3), mostly in -1..1, and their corner normals, deformed by ``deformations`` (B, 3): a twist
    around z, a taper along z and a parabolic bend of x, each in the units of ``STRONGEST``."""
    amounts = deformations.view(-1, 1, 1, 3)
    # A normal is perpendicular to what becomes of two tangents.
    normals = F.normalize(normals, dim=-1)
    axis = F.one_hot(normals.abs().argmin(-1), 3).to(normals)
    tangent = F.normalize(torch.cross(normals, axis, dim=-1), dim=-1)
    other = torch.cross(normals, tangent, dim=-1)
    moved = _moved(triangles, amounts)
    first = _moved(triangles + _STEP * tangent, amounts) - moved
    second = _moved(triangles + _STEP * other, amounts) - moved
    bent = F.normalize(torch.cross(first, second, dim=-1), dim=-1)
    changed = deformations.any(-1).view(-1, 1, 1, 1)
    return torch.where(changed, moved, triangles), torch.where(changed, bent, normals)


def _moved(points: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    twist, taper, bend = amounts.unbind(-1)
    x, y, z = points.unbind(-1)
    width, cos, sin = (1 + taper * z).clamp_min(0.2), torch.cos(twist * z), torch.sin(twist * z)
    return torch.stack([width * (cos * x - sin * y), width * (sin * x + cos * y), z + bend * x.square()], -1)

"""Where a scene stands in the world: turned, then scaled and shifted so that the input view shows it as a cutout would.

A cutout is centered and fills 75 % of the frame (``backend.foreground``), so that is how every scene is placed for its
own input camera; the whole object must also fit the volume of the surface network.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from backend.camera import FOCAL, RADIUS, camera_to_world
from procedural.scene import object_distance

FILL = 0.75
LARGEST_COORDINATE = 0.57
"""Every placed point keeps its coordinates within this, just inside the surface network's volume."""
CELLS = 48


def bounding_radius(rows: np.ndarray) -> float:
    """A radius around the object-space origin that holds every added primitive of (P, 32) rows."""
    a, b, c, depth = rows[:, 1], rows[:, 2], rows[:, 3], rows[:, 5]
    wide = np.maximum(a, b)
    own = np.select(
        [rows[:, 0] == 0, rows[:, 0] == 1, rows[:, 0] == 2, rows[:, 0] == 3, rows[:, 0] == 4],
        [np.maximum(wide, c), np.sqrt(a**2 + b**2 + c**2), np.hypot(wide, c), a + b, c + wide],
        np.sqrt(wide**2 + c**2 + depth**2),
    )
    reach = np.linalg.norm(rows[:, 6:9], axis=1) + own
    return float(reach[rows[:, 18] == 0].max())


def _grid(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cell centers (B, CELLS^3, 3) of boxes given by corners (B, 3), and the cells' sides (B, 3)."""
    steps = (torch.arange(CELLS, device=low.device) + 0.5) / CELLS
    unit = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    return low[:, None] + unit * (high - low)[:, None], (high - low) / CELLS


def _corners(points: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest coordinates (B, D) of the marked points (B, N, D)."""
    low = torch.where(inside[..., None], points, torch.inf).amin(1)
    high = torch.where(inside[..., None], points, -torch.inf).amax(1)
    return low, high


def place(
    distance: Callable[[torch.Tensor], torch.Tensor],
    radius: torch.Tensor,
    yaw: torch.Tensor,
    elevation: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Placements of B scenes for input cameras at azimuth 0.

    ``distance`` maps object-space points (B, N, 3) to signed distances (B, N); ``radius`` (B,), ``yaw`` (B,) in
    radians, ``elevation`` (B,) in degrees. Returns placements (B, 6) as in ``procedural.scene.Scene`` and
    whether each scene holds anything (B,) bool.
    """
    reach = radius[:, None].expand(-1, 3)
    points, cell = _grid(-reach, reach)
    inside = distance(points) < cell.amax(1, keepdim=True)
    low, high = _corners(points, inside)
    good = torch.isfinite(low).all(1)
    low, high = torch.where(good[:, None], low, -reach), torch.where(good[:, None], high, reach)
    points, cell = _grid(low - cell, high + cell)
    inside = distance(points) < 0.5 * cell.amin(1, keepdim=True)
    good &= inside.any(1)
    inside |= ~good[:, None]

    cos, sin = torch.cos(yaw)[:, None], torch.sin(yaw)[:, None]
    x, y, z = points.unbind(-1)
    points = torch.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
    low, high = _corners(points, inside)
    center, scale = (low + high) / 2, 1 / (high - low).amax(1)
    cameras = torch.from_numpy(camera_to_world(90 - elevation.cpu().numpy(), 0.0)).to(points.device)
    right, up, back = (cameras[:, :3, axis] for axis in range(3))
    for _ in range(5):
        world = (points - center[:, None]) * scale[:, None, None]
        depth = (RADIUS - (world @ back[:, :, None])[..., 0]).clamp_min(0.1)
        across = FOCAL * (world @ right[:, :, None])[..., 0] / depth
        along = FOCAL * (world @ up[:, :, None])[..., 0] / depth
        low, high = _corners(torch.stack([across, along], -1), inside)
        middle = (low + high) / 2 * RADIUS / FOCAL / scale[:, None]
        center = center + middle[:, :1] * right + middle[:, 1:] * up
        scale = scale * FILL / (high - low).amax(1)
    low, high = _corners((points - center[:, None]) * scale[:, None, None], inside)
    scale = scale * (LARGEST_COORDINATE / torch.maximum(-low, high).amax(1)).clamp_max(1.0)
    offset = -center * scale[:, None]
    return torch.cat([scale[:, None], offset, cos, sin], 1), good


def place_one(rows: np.ndarray, yaw: float, elevation: float) -> np.ndarray:
    """The placement (6,) of one scene, rows (P, 32), on the CPU; ``yaw`` in radians, ``elevation`` in degrees."""
    table = torch.from_numpy(rows)
    placement, good = place(
        lambda points: object_distance(table, points[0])[0][None],
        torch.tensor([bounding_radius(rows)]),
        torch.tensor([yaw], dtype=torch.float32),
        torch.tensor([elevation], dtype=torch.float32),
    )
    assert good.all(), "the scene holds nothing"
    return placement[0].numpy()

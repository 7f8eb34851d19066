"""Where a scene is in the world: rotated, then scaled and translated so that its input view is framed like a cutout.

A cutout is centered and fills 75 % of the frame (``backend.preprocessing``), and so does every scene for its own input
camera; besides, the whole object must fit into the volume of the surface network.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from backend.camera import FOCAL, RADIUS, camera_to_world
from procedural.schema import Column, Operation, Primitive
from procedural.sdf import object_distance

FRAME_FILL = 0.75
"""Side of the object's bounding square, as a fraction of the image's."""
MAX_COORDINATE = 0.57
"""Largest absolute world coordinate of an object, just inside the surface network's volume."""
CELLS = 48
"""Grid cells along each axis with which a scene's extent is measured."""


def bounding_radius(rows: np.ndarray) -> float:
    """A radius around the object-space origin that holds every added primitive of (P, 32) rows."""
    kind = rows[:, Column.KIND]
    a, b, c, half_depth = rows[:, Column.A], rows[:, Column.B], rows[:, Column.C], rows[:, Column.HALF_DEPTH]
    widest = np.maximum(a, b)
    own_radius = np.select(
        [
            kind == Primitive.ELLIPSOID,
            kind == Primitive.BOX,
            kind == Primitive.CONE,
            kind == Primitive.TORUS,
            kind == Primitive.CAPSULE,
        ],
        [np.maximum(widest, c), np.sqrt(a**2 + b**2 + c**2), np.hypot(widest, c), a + b, c + widest],
        np.sqrt(widest**2 + c**2 + half_depth**2),
    )
    radius = np.linalg.norm(rows[:, Column.CENTER : Column.ROTATION], axis=1) + own_radius
    return float(radius[rows[:, Column.OPERATION] == Operation.UNION].max())


def _grid(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cell centers (B, CELLS^3, 3) of boxes given by corners (B, 3), and the cells' sides (B, 3)."""
    steps = (torch.arange(CELLS, device=low.device) + 0.5) / CELLS
    unit = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    return low[:, None] + unit * (high - low)[:, None], (high - low) / CELLS


def bounds(points: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest coordinates (B, D) of the marked points (B, N, D)."""
    low = torch.where(inside[..., None], points, torch.inf).amin(1)
    high = torch.where(inside[..., None], points, -torch.inf).amax(1)
    return low, high


def fit_to_frame(
    points: torch.Tensor, valid: torch.Tensor, elevation: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centers (B, 3) and scales (B,) with which objects fill their input images: (points - center) * scale.

    ``points`` (B, N, 3) on or inside each object, already rotated; ``valid`` (B, N) bool says which of them count. The
    input cameras are at azimuth 0 and ``elevation`` (B,) in degrees.
    """
    low, high = bounds(points, valid)
    center, scale = (low + high) / 2, 1 / (high - low).amax(1)
    cameras = torch.from_numpy(camera_to_world(90 - elevation.cpu().numpy(), 0.0)).to(points.device)
    right, up, back = (cameras[:, :3, axis] for axis in range(3))
    for _ in range(5):
        world = (points - center[:, None]) * scale[:, None, None]
        depth = (RADIUS - (world @ back[:, :, None])[..., 0]).clamp_min(0.1)
        image_x = FOCAL * (world @ right[:, :, None])[..., 0] / depth
        image_y = FOCAL * (world @ up[:, :, None])[..., 0] / depth
        low, high = bounds(torch.stack([image_x, image_y], -1), valid)
        shift = (low + high) / 2 * RADIUS / FOCAL / scale[:, None]
        center = center + shift[:, :1] * right + shift[:, 1:] * up
        scale = scale * FRAME_FILL / (high - low).amax(1)
    low, high = bounds((points - center[:, None]) * scale[:, None, None], valid)
    scale = scale * (MAX_COORDINATE / torch.maximum(-low, high).amax(1)).clamp_max(1.0)
    return center, scale


def normalize_scene(
    distance: Callable[[torch.Tensor], torch.Tensor],
    radius: torch.Tensor,
    yaw: torch.Tensor,
    elevation: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Object-to-world transforms of B scenes for input cameras at azimuth 0.

    ``distance`` maps object-space points (B, N, 3) to signed distances (B, N); ``radius`` (B,) bounds the objects,
    ``yaw`` (B,) in radians, ``elevation`` (B,) in degrees. Returns the transforms (B, 6) of
    ``procedural.schema.Transform`` and which scenes are not empty (B,) bool.
    """
    half = radius[:, None].expand(-1, 3)
    points, cell = _grid(-half, half)
    inside = distance(points) < cell.amax(1, keepdim=True)
    low, high = bounds(points, inside)
    valid = torch.isfinite(low).all(1)
    low, high = torch.where(valid[:, None], low, -half), torch.where(valid[:, None], high, half)
    points, cell = _grid(low - cell, high + cell)
    inside = distance(points) < 0.5 * cell.amin(1, keepdim=True)
    valid &= inside.any(1)
    inside |= ~valid[:, None]

    cos, sin = torch.cos(yaw)[:, None], torch.sin(yaw)[:, None]
    x, y, z = points.unbind(-1)
    points = torch.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
    center, scale = fit_to_frame(points, inside, elevation)
    translation = -center * scale[:, None]
    return torch.cat([scale[:, None], translation, cos, sin], 1), valid


def normalize_rows(rows: np.ndarray, yaw: float, elevation: float) -> np.ndarray:
    """The object-to-world transform (6,) of one scene, rows (P, 32), on the CPU; ``yaw`` in radians, ``elevation`` in
    degrees. Raises ValueError where the scene is empty."""
    table = torch.from_numpy(rows)
    object_to_world, valid = normalize_scene(
        lambda points: object_distance(table, points[0])[0][None],
        torch.tensor([bounding_radius(rows)]),
        torch.tensor([yaw], dtype=torch.float32),
        torch.tensor([elevation], dtype=torch.float32),
    )
    if not valid.all():
        raise ValueError("The scene is empty: its operations leave nothing of it.")
    return object_to_world[0].numpy()

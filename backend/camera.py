"""Angles, poses and rays: the only module that knows a camera convention.

Source: Zero123's camera rig (arXiv 2303.11328) and the 8 + 32 view plan of One-2-3-45 (arXiv 2306.16928, section 3.2).
"""

from __future__ import annotations

import numpy as np

RADIUS = 1.2
"""Distance of every camera from the world's origin."""
FOCAL = 280 / 256
"""Focal length in image widths."""
LOWER_RING_UP_TO = 75
"""Polar angle of the input camera (degrees) up to which the second ring of views lies below the first, not above."""

FIRST_RING = tuple((str(k), 0.0, 90.0 * k) for k in range(4))
"""Stage-1 views at the input camera's elevation: (name, polar change, azimuth change) in degrees."""
LOWER_RING = tuple((str(4 + k), 30.0, 30.0 + 90.0 * k) for k in range(4))
UPPER_RING = tuple((str(8 + k), -30.0, 30.0 + 90.0 * k) for k in range(4))
NEIGHBORS = ((-10.0, 0.0), (10.0, 0.0), (0.0, -10.0), (0.0, 10.0))
"""Stage-2 views around each stage-1 view: (polar change, azimuth change) in degrees."""


ABOVE_ELEVATION, BELOW_ELEVATION = 80.0, -30.0
"""Elevations in degrees of the views from above and below, which only joint plans have."""
JOINT_PLANS = {
    "rings and above": (("above", ABOVE_ELEVATION),),
    "rings, above and below": (("above", ABOVE_ELEVATION), ("below", BELOW_ELEVATION)),
}
"""What plans of views that are generated together have beside both rings, by the plan's name: views at the input
camera's azimuth, each with its name and elevation in degrees."""


GENERATED_VIEWS = frozenset(
    {"above", "below"}
    | {name for ring in (FIRST_RING, LOWER_RING, UPPER_RING) for name, *_ in ring}
    | {f"{view}_{neighbor}" for view in range(12) for neighbor in range(len(NEIGHBORS))}
)
"""Names of all views that may be generated."""


def second_ring(polar: float) -> tuple[tuple[str, float, float], ...]:
    """The second ring of stage-1 views for an input camera at ``polar`` degrees."""
    return LOWER_RING if polar <= LOWER_RING_UP_TO else UPPER_RING


def joint_plan(elevation: float, plan: str) -> tuple[tuple[str, float, float], ...]:
    """The views that are generated together for an input camera at ``elevation`` degrees: (name, elevation, azimuth).

    Those of ``JOINT_PLANS[plan]``, which take the place of the one that would repeat the input, and both rings.
    """
    rings = (*FIRST_RING[1:], *second_ring(90 - elevation))
    return (
        *((name, height, 0.0) for name, height in JOINT_PLANS[plan]),
        *((name, elevation - polar, azimuth) for name, polar, azimuth in rings),
    )


def camera_to_world(polar, azimuth, radius: float = RADIUS) -> np.ndarray:
    """Cameras looking at the origin: angles (N,) in degrees -> (N, 4, 4) float32, OpenGL axes, world Z up.

    At the poles, where "up" is undefined, the limit from azimuth's own meridian is taken, so the matrix stays finite.
    """
    polar, azimuth = np.broadcast_arrays(np.radians(np.float64(polar)), np.radians(np.float64(azimuth)))
    sin_p, cos_p, sin_a, cos_a = np.sin(polar), np.cos(polar), np.sin(azimuth), np.cos(azimuth)
    back = np.stack([sin_a * sin_p, -cos_a * sin_p, cos_p], -1)
    right = np.stack([cos_a, sin_a, np.zeros_like(sin_a)], -1)
    up = np.cross(back, right)
    matrix = np.zeros((*polar.shape, 4, 4))
    matrix[..., :3, 0], matrix[..., :3, 1], matrix[..., :3, 2] = right, up, back
    matrix[..., :3, 3] = radius * back
    matrix[..., 3, 3] = 1.0
    return matrix.astype(np.float32)


def direction_angles(pose: np.ndarray) -> tuple[float, float]:
    """Elevation and azimuth, 0..360, in degrees of a camera (4, 4) that looks at the origin."""
    x, y, z = pose[:3, 2].astype(np.float64)
    return float(np.degrees(np.arcsin(np.clip(z, -1, 1)))), float(np.degrees(np.arctan2(x, -y)) % 360)


def relative_pose(polar_change, azimuth_change) -> np.ndarray:
    """Zero123's relative pose for a camera offset in degrees: (..., 4) float32 [polar, sin, cos of azimuth, radius]."""
    polar, azimuth = np.broadcast_arrays(np.radians(np.float64(polar_change)), np.radians(np.float64(azimuth_change)))
    return np.stack([polar, np.sin(azimuth), np.cos(azimuth), np.zeros_like(polar)], -1).astype(np.float32)


def project(points: np.ndarray, pose: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """World points (P, 3) -> pixels (P, 2) (column, row) of the camera ``pose`` (4, 4) and depth (P,) along -z."""
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = -local[:, 2]
    safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    column = size * (0.5 + FOCAL * local[:, 0] / safe)
    row = size * (0.5 - FOCAL * local[:, 1] / safe)
    return np.stack([column, row], -1), depth


def rays(
    pose: np.ndarray, size: int, rows: slice = slice(None), columns: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """Rays through the pixel centers of a camera (4, 4): origins, unit directions, both (size, size, 3) float32.

    ``rows`` and ``columns``: of these pixels only.
    """
    steps = (np.arange(size) + 0.5) / size - 0.5
    x, y = np.meshgrid(steps[columns], steps[rows])
    local = np.stack([x / FOCAL, -y / FOCAL, -np.ones_like(y)], -1)
    directions = local @ pose[:3, :3].T.astype(np.float64)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    origins = np.broadcast_to(pose[:3, 3], directions.shape)
    return origins.astype(np.float32), directions.astype(np.float32)

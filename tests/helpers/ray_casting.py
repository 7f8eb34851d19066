"""A plain ray caster in NumPy: every ray against every triangle."""

from __future__ import annotations

import numpy as np

from backend.camera import FOCAL


def rays(camera: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Origin (3,) and directions (size, size, 3), of length 1 along the camera's axis."""
    steps = (np.arange(size) + 0.5) / size - 0.5
    x, y = np.meshgrid(steps, steps)
    local = np.stack([x / FOCAL, -y / FOCAL, -np.ones_like(x)], -1)
    return camera[:3, 3].astype(float), local @ camera[:3, :3].T.astype(float)


def intersect(triangles: np.ndarray, origin: np.ndarray, directions: np.ndarray):
    """Moeller and Trumbore's intersection: depth (infinite: none), triangle and barycentric weights of each ray."""
    edge1, edge2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    normal = np.cross(directions[..., None, :], edge2)
    determinant = (normal * edge1).sum(-1)
    offset = origin - triangles[:, 0]
    u = (normal * offset).sum(-1) / determinant
    across = np.cross(offset, edge1)
    v = (directions[..., None, :] * across).sum(-1) / determinant
    depth = (edge2 * across).sum(-1) / determinant
    depth = np.where((u >= 0) & (v >= 0) & (u + v <= 1) & (depth > 0), depth, np.inf)
    nearest = depth.argmin(-1)
    u, v, depth = (np.take_along_axis(value, nearest[..., None], -1)[..., 0] for value in (u, v, depth))
    return depth, nearest, np.stack([1 - u - v, u, v], -1)

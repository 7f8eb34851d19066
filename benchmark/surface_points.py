"""Points on a mesh: spread over it, their normals, and from where they can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.data_types import Mesh
from backend.rendering.raycasting import RayCaster


@dataclass(frozen=True)
class SurfacePoints:
    """P points on a mesh."""

    points: np.ndarray
    """(P, 3) world units."""
    faces: np.ndarray
    """(P,) the triangle of each point."""
    weights: np.ndarray
    """(P, 3) barycentric coordinates in it."""

    def select(self, which: np.ndarray) -> SurfacePoints:
        """The points that ``which``, a mask or indices, selects."""
        return SurfacePoints(self.points[which], self.faces[which], self.weights[which])


def sample_surface(mesh: Mesh, count: int, seed: int = 0) -> SurfacePoints:
    """Points (float64) spread evenly over the area."""
    rng = np.random.default_rng(seed)
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    # Systematic sampling: the same expectation as independent samples, with less variance.
    positions = (np.arange(count) + rng.random()) / count * areas.sum()
    face = np.searchsorted(np.cumsum(areas), positions).clip(max=len(areas) - 1)
    u, v = rng.random((2, count, 1))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    points = a[face] + u * (b - a)[face] + v * (c - a)[face]
    return SurfacePoints(points, face, np.concatenate([1 - u - v, u, v], -1))


def face_normals(mesh: Mesh, faces: np.ndarray) -> np.ndarray:
    """Unit normals (P, 3) of the triangles with the indices ``faces`` (P,), on the side where they run
    counter-clockwise."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces[faces]].astype(np.float64), 1, 0)
    flat = np.cross(b - a, c - a)
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-30)


def visible(mesh: Mesh, points: np.ndarray, normals: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Which surface points (P, 3) are seen from ``eye`` (3,) with no other part of the mesh in between: (P,) bool.

    Either side of a triangle can be seen; the back sides of a closed mesh are hidden by the rest of it.
    """
    unit = float(np.ptp(mesh.vertices, axis=0).max())
    towards = np.where(np.einsum("pc,pc->p", normals, eye - points) > 0, 1.0, -1.0)[:, None] * normals
    start = points + 2e-3 * unit * towards
    hit, distance, *_ = RayCaster(mesh).cast(start, eye - start)
    return ~(hit & (distance < 1))

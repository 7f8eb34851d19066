"""What simple guesses from the silhouette alone would score: no method may be praised for less.

Every floor is a closed mesh in world space, placed by the input camera and as deep as the world's origin, and painted
with the mean color of the picture's object.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import trimesh
from scipy.ndimage import distance_transform_edt

from backend import camera
from backend.meshing.extraction import isosurface
from backend.meshing.simplify import outer_shell
from backend.types import Mesh, TexturedMesh

GRID = 96
"""Cells along the silhouette's longer side when it is inflated."""


def floors(picture: np.ndarray, pose: np.ndarray) -> dict[str, TexturedMesh]:
    """Input picture (S, S, 4) RGBA and its camera (4, 4) -> the three floors: sphere, box, inflated silhouette."""
    mask = picture[..., 3] > 0.5
    color = picture[..., :3][mask].mean(0)
    return {
        "sphere": painted(sphere(mask, pose), color),
        "box": painted(box(mask, pose), color),
        "inflated": painted(inflated(mask, pose), color),
    }


def sphere(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """The sphere whose outline has the silhouette's center and area."""
    rows, columns = np.nonzero(mask)
    size = len(mask)
    angle = np.arctan(np.sqrt(len(rows) / np.pi) / (camera.FOCAL * size))
    center = _on_origin_plane(np.array([columns.mean() + 0.5, rows.mean() + 0.5]), size, pose)
    radius = np.linalg.norm(center - pose[:3, 3]) * np.sin(angle)
    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Mesh((ball.vertices + center).astype(np.float32), ball.faces.astype(np.int32))


def box(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """An upright box as deep as it is wide (or, under a flat silhouette, as deep as it is high) whose outline has the
    silhouette's bounding rectangle."""
    low, high = _rectangle(mask)
    sin, cos = abs(pose[2, 2]), abs(pose[2, 1])
    width, height = high - low
    depth = min(width, height / (sin + cos))
    shape = trimesh.creation.box((width, depth, (height - depth * sin) / cos))
    vertices = shape.vertices * camera.RADIUS / (camera.FOCAL * len(mask))
    fitted = _fit(vertices, (low, high), pose, len(mask), lambda across, up: np.array([across, across, up]))
    return Mesh(fitted.astype(np.float32), shape.faces.astype(np.int32))


def inflated(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """The silhouette blown up: the union of the balls that fit into it, as large as the silhouette's rectangle wants.

    A ball around q with the distance to the edge d(q) as radius makes the thickness t(p)^2 = max d(q)^2 - |p - q|^2,
    which is a distance transform of d^2 and can be taken one axis at a time.
    """
    low, high = _rectangle(mask)
    side = (high - low).max()
    crop = np.zeros((side, side), np.float32)
    crop[: high[1] - low[1], : high[0] - low[0]] = mask[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(crop, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0.3
    square = (distance_transform_edt(np.pad(small, 1))[1:-1, 1:-1] - 0.5).clip(0) ** 2
    square[~small] = -np.inf
    step = (np.arange(GRID)[:, None] - np.arange(GRID)) ** 2
    best = (square[None] - step[:, :, None]).max(1)
    best = (best[:, None] - step[None]).max(2)
    depths = np.arange(-GRID // 2, GRID // 2 + 1)
    values = depths[None, None] ** 2 - best[..., None]
    values = np.pad(values, 1, constant_values=1.0)
    solid = outer_shell(Mesh(*isosurface(values.astype(np.float32))))
    row, column, depth = solid.vertices.astype(np.float64).T
    local = np.stack([column - GRID / 2, GRID / 2 - row, GRID / 2 - depth], -1) * camera.RADIUS / (camera.FOCAL * GRID)
    world = local @ pose[:3, :3].T.astype(np.float64)
    fitted = _fit(world, (low, high), pose, len(mask), lambda across, up: math.sqrt(across * up))
    # Rows grow downwards and depth grows away: with columns as x that is one mirror too many, hence the other winding.
    return Mesh(fitted.astype(np.float32), np.ascontiguousarray(solid.faces[:, ::-1]))


def painted(mesh: Mesh, color: np.ndarray) -> TexturedMesh:
    """A mesh in one color (3,) sRGB 0..1."""
    texture = np.broadcast_to(np.round(color * 255).astype(np.uint8), (2, 2, 3))
    return TexturedMesh(mesh, np.zeros((len(mesh.faces), 3, 2), np.float32), texture, np.full((2, 2), 85, np.uint8))


def _rectangle(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest pixel coordinates (column, row) of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])


def _fit(vertices: np.ndarray, rectangle, pose: np.ndarray, size: int, stretch) -> np.ndarray:
    """Move and stretch vertices (V, 3) until their outline has a given bounding rectangle (low, high) in the picture.

    stretch(across, up) turns the two missing factors into what the vertices are multiplied with.
    """
    low, high = rectangle
    center = np.zeros(3)
    for _ in range(20):
        seen, _ = camera.project(vertices + center, pose, size)
        factors = (high - low) / np.ptp(seen, axis=0)
        center += _on_origin_plane((low + high) / 2, size, pose)
        center -= _on_origin_plane((seen.min(0) + seen.max(0)) / 2, size, pose)
        vertices = vertices * stretch(*factors)
    return vertices + center


def _on_origin_plane(pixel: np.ndarray, size: int, pose: np.ndarray) -> np.ndarray:
    """Where the line of sight through a pixel (column, row) meets the plane through the origin facing the camera."""
    local = np.array([(pixel[0] / size - 0.5) / camera.FOCAL, (0.5 - pixel[1] / size) / camera.FOCAL, -1.0])
    return camera.RADIUS * local @ pose[:3, :3].T.astype(np.float64) + pose[:3, 3]

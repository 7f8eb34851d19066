"""Baselines: simple guesses from the silhouette alone, which every method has to beat.

Each is a closed mesh in world space at the depth of the world's origin, in the mean color of the image's object.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import trimesh
from scipy.ndimage import distance_transform_edt

from backend import camera
from backend.data_types import Mesh, TexturedMesh
from backend.meshing.extraction import isosurface
from backend.meshing.simplify import outer_shell

GRID = 96
"""Cells along the longer side of the silhouette when it is inflated."""


def make_baselines(image: np.ndarray, pose: np.ndarray) -> dict[str, TexturedMesh]:
    """Input image (S, S, 4) RGBA and its camera's pose (4, 4) -> ``sphere``, ``box`` and ``inflated`` silhouette."""
    mask = image[..., 3] > 0.5
    color = image[..., :3][mask].mean(0)
    return {
        "sphere": single_color(sphere(mask, pose), color),
        "box": single_color(box(mask, pose), color),
        "inflated": single_color(inflated(mask, pose), color),
    }


def sphere(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """The sphere whose silhouette has the same center and area."""
    rows, columns = np.nonzero(mask)
    size = len(mask)
    angle = np.arctan(np.sqrt(len(rows) / np.pi) / (camera.FOCAL * size))
    center = _on_origin_plane(np.array([columns.mean() + 0.5, rows.mean() + 0.5]), size, pose)
    radius = np.linalg.norm(center - pose[:3, 3]) * np.sin(angle)
    icosphere = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return Mesh((icosphere.vertices + center).astype(np.float32), icosphere.faces.astype(np.int32))


def box(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """An upright box whose silhouette has the same bounding rectangle.

    It is as deep as it is wide or, where the rectangle is flat, as it is high.
    """
    low, high = _rectangle(mask)
    sin, cos = abs(pose[2, 2]), abs(pose[2, 1])
    width, height = high - low
    depth = min(width, height / (sin + cos))
    cuboid = trimesh.creation.box((width, depth, (height - depth * sin) / cos))
    vertices = cuboid.vertices * camera.RADIUS / (camera.FOCAL * len(mask))
    fitted = _fit(vertices, (low, high), pose, len(mask), lambda x, y: np.array([x, x, y]))
    return Mesh(fitted.astype(np.float32), cuboid.faces.astype(np.int32))


def inflated(mask: np.ndarray, pose: np.ndarray) -> Mesh:
    """The inflated silhouette: the union of all balls that fit into it, scaled to the same bounding rectangle.

    A ball around q with the distance to the edge d(q) as radius makes the thickness t(p)^2 = max d(q)^2 - |p - q|^2,
    which is a distance transform of d^2 and can be taken one axis at a time.
    """
    low, high = _rectangle(mask)
    side = (high - low).max()
    crop = np.zeros((side, side), np.float32)
    crop[: high[1] - low[1], : high[0] - low[0]] = mask[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(crop, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0.3
    edge_distance = np.asarray(distance_transform_edt(np.pad(small, 1)))[1:-1, 1:-1]
    square = (edge_distance - 0.5).clip(0) ** 2
    square[~small] = -np.inf
    step = (np.arange(GRID)[:, None] - np.arange(GRID)) ** 2
    best = (square[None] - step[:, :, None]).max(1)
    best = (best[:, None] - step[None]).max(2)
    depths = np.arange(-GRID // 2, GRID // 2 + 1)
    values = depths[None, None] ** 2 - best[..., None]
    values = np.pad(values, 1, constant_values=1.0)
    solid = outer_shell(Mesh(*isosurface(values.astype(np.float32))))
    if solid is None:
        raise ValueError("The silhouette is empty.")
    row, column, depth = solid.vertices.astype(np.float64).T
    local = np.stack([column - GRID / 2, GRID / 2 - row, GRID / 2 - depth], -1) * camera.RADIUS / (camera.FOCAL * GRID)
    world = local @ pose[:3, :3].T.astype(np.float64)
    fitted = _fit(world, (low, high), pose, len(mask), lambda x, y: math.sqrt(x * y))
    # Rows grow downwards and depth grows away: with columns as x that is one mirror too many, hence the other winding.
    return Mesh(fitted.astype(np.float32), np.ascontiguousarray(solid.faces[:, ::-1]))


def single_color(mesh: Mesh, color: np.ndarray) -> TexturedMesh:
    """A mesh in one color (3,) sRGB 0..1."""
    texture = np.broadcast_to(np.round(color * 255).astype(np.uint8), (2, 2, 3))
    return TexturedMesh(mesh, np.zeros((len(mesh.faces), 3, 2), np.float32), texture, np.full((2, 2), 85, np.uint8))


def _rectangle(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest pixel coordinates (column, row) of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1])


def _fit(vertices: np.ndarray, rectangle, pose: np.ndarray, size: int, scale) -> np.ndarray:
    """Translate and scale vertices (V, 3) until their image has a given bounding rectangle (low, high).

    scale(x, y) turns the missing factors across and up the image into what the vertices are multiplied with.
    """
    low, high = rectangle
    center = np.zeros(3)
    for _ in range(20):
        pixels, _ = camera.project(vertices + center, pose, size)
        factors = (high - low) / np.ptp(pixels, axis=0)
        center += _on_origin_plane((low + high) / 2, size, pose)
        center -= _on_origin_plane((pixels.min(0) + pixels.max(0)) / 2, size, pose)
        vertices = vertices * scale(*factors)
    return vertices + center


def _on_origin_plane(pixel: np.ndarray, size: int, pose: np.ndarray) -> np.ndarray:
    """Where the ray through a pixel (column, row) meets the plane through the origin that faces the camera."""
    local = np.array([(pixel[0] / size - 0.5) / camera.FOCAL, (0.5 - pixel[1] / size) / camera.FOCAL, -1.0])
    return camera.RADIUS * local @ pose[:3, :3].T.astype(np.float64) + pose[:3, 3]

"""Bake a texture: the user's picture where it shows the surface, generated views elsewhere, the field for the rest."""

from __future__ import annotations

import cv2
import numpy as np
import trimesh

from ..progress import OnProgress, ignore_progress
from ..types import Cutout, Field, Mesh, TexturedMesh, Views
from . import projection, rasterization
from .surface_points import Points
from .unwrapping import unwrap

PHOTO, GENERATED, FILLED = 255, 170, 85
"""Values of the confidence map."""
CHUNK = 1 << 18
"""Texels colored at once, in a second or less."""


def bake(
    mesh: Mesh,
    field: Field,
    views: Views | None,
    cutout: Cutout | None,
    size: int,
    on_progress: OnProgress = ignore_progress,
) -> TexturedMesh:
    """Unwrap a closed mesh and color its texels.

    views: index 0 gives the input picture's camera, the others are generated. cutout: the picture at its own
    resolution, seen by the same camera. size: the texture's side in texels. Where neither shows the surface, the
    field's own color stands in; passages are soft. The confidence map names the greatest contributor. Without
    views and cutout, the field's own color is all there is. on_progress: called after every chunk of texels.
    """
    uvs = unwrap(mesh, size)
    triangles = uvs.astype(np.float64) * size
    face, column, row = rasterization.cover(triangles)
    weights = rasterization.barycentric(triangles[face], np.stack([column, row], -1) + 0.5).astype(np.float32)
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals.astype(np.float32)
    best = None if views is None else projection.best_views(mesh, views)
    density = size * _uv_scale(mesh, uvs)

    texture = np.zeros((size, size, 3), np.float32)
    confidence = np.zeros((size, size), np.uint8)
    for start in range(0, len(face), CHUNK):
        part = slice(start, start + CHUNK)
        corners = mesh.faces[face[part]]
        position = np.einsum("pc,pcd->pd", weights[part], mesh.vertices[corners])
        normal = np.einsum("pc,pcd->pd", weights[part], normals[corners])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        points = Points(face[part], position, normal)
        top_row = size - 1 - row[part]
        texture[top_row, column[part]], confidence[top_row, column[part]] = _colors(
            mesh, field, views, cutout, points, best, density
        )
        on_progress(min(start + CHUNK, len(face)) / len(face))
    texture = _with_margin(texture, confidence > 0)
    return TexturedMesh(mesh, uvs, np.round(texture * 255).clip(0, 255).astype(np.uint8), confidence)


def _colors(mesh, field, views, cutout, points, best, density) -> tuple[np.ndarray, np.ndarray]:
    """Color (P, 3) float32 0..1 and confidence (P,) uint8 of points."""
    if views is None:
        return field.color(points.position), np.full(len(points.face), FILLED, np.uint8)
    photo, certain = projection.from_photo(mesh, points, cutout.image, views.camera_to_world[0], density)
    color, likely = np.zeros_like(photo), np.zeros_like(certain)
    rest = np.flatnonzero(certain < 1)
    color[rest], likely[rest] = projection.from_views(mesh, points[rest], views, best)
    unseen = np.flatnonzero((certain < 1) & (likely < 1))
    own = field.color(points.position[unseen])
    color[unseen] = own + likely[unseen, None] * (color[unseen] - own)
    color += certain[:, None] * (photo - color)
    return color, np.where(certain >= 0.5, PHOTO, np.where(likely >= 0.5, GENERATED, FILLED)).astype(np.uint8)


def _uv_scale(mesh: Mesh, uvs: np.ndarray) -> float:
    """UV units per world unit, on average over the surface."""
    solid, flat = mesh.vertices[mesh.faces], uvs.astype(np.float64)
    solid = np.linalg.norm(np.cross(solid[:, 1] - solid[:, 0], solid[:, 2] - solid[:, 0]), axis=1).sum()
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return float(np.sqrt((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / solid))


def _with_margin(texture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Give every texel outside the islands the color of the nearest one inside: no seam at any mipmap level."""
    _, label = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros((label.max() + 1, 3), np.float32)
    source[label[covered]] = texture[covered]
    return source[label]

"""Texture baking: the input image where it shows the surface, generated views elsewhere, the field for the rest."""

from __future__ import annotations

import numpy as np
import trimesh

from ..data_types import Cutout, Field, Mesh, TexturedMesh, Views
from ..image_filters import nearest_values
from ..progress import OnProgress, ignore_progress
from ..rendering.raycasting import RayCaster
from . import projection, rasterization
from .surface_points import SurfacePoints
from .unwrapping import unwrap

INPUT_IMAGE, GENERATED, FIELD = 255, 170, 85
"""Values of the confidence map."""
SEEN = 0.99
"""Weight of the views from which on the field's color would not be seen."""
CHUNK_SIZE = 1 << 18
"""Texels colored at once, in a second or less."""


def bake(
    mesh: Mesh,
    field: Field,
    views: Views | None,
    cutout: Cutout | None,
    size: int,
    on_progress: OnProgress = ignore_progress,
) -> TexturedMesh:
    """Unwrap a closed mesh and compute its texture and confidence map.

    views: the first is the input image, the others are generated. cutout: the input image at its own resolution, with
    the same camera. size: the texture's side in texels. Texels that neither shows have the field's color, and sources
    are blended smoothly; the confidence map names the one with the greatest weight. Without views or cutout, the field
    gives all colors. on_progress: called after every chunk of texels.
    """
    uvs = unwrap(mesh, size)
    triangles = uvs.astype(np.float64) * size
    face, column, row = rasterization.covered_samples(triangles)
    weights = rasterization.barycentric(triangles[face], np.stack([column, row], -1) + 0.5).astype(np.float32)
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals.astype(np.float32)
    caster = RayCaster(mesh)
    best = None if views is None else projection.best_views(mesh, caster, views)
    texel_density = size * _uv_scale(mesh, uvs)

    texture = np.zeros((size, size, 3), np.float32)
    confidence = np.zeros((size, size), np.uint8)
    for start in range(0, len(face), CHUNK_SIZE):
        chunk = slice(start, start + CHUNK_SIZE)
        corners = mesh.faces[face[chunk]]
        position = np.einsum("pc,pcd->pd", weights[chunk], mesh.vertices[corners])
        normal = np.einsum("pc,pcd->pd", weights[chunk], normals[corners])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        points = SurfacePoints(face[chunk], position, normal)
        image_row = size - 1 - row[chunk]
        texture[image_row, column[chunk]], confidence[image_row, column[chunk]] = _compute_colors(
            caster, field, views, cutout, points, best, texel_density
        )
        on_progress(min(start + CHUNK_SIZE, len(face)) / len(face))
    texture = _fill_margin(texture, confidence > 0)
    return TexturedMesh(mesh, uvs, np.round(texture * 255).clip(0, 255).astype(np.uint8), confidence)


def _compute_colors(
    caster: RayCaster,
    field: Field,
    views: Views | None,
    cutout: Cutout | None,
    points: SurfacePoints,
    best: np.ndarray | None,
    texel_density: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Colors (P, 3) float32 0..1 and confidences (P,) uint8 of points; ``best``: see ``projection.best_views``."""
    if views is None or cutout is None or best is None:
        return field.color(points.position), np.full(len(points), FIELD, np.uint8)
    image_color, image_weight = projection.from_input_image(
        caster, points, cutout.image, views.camera_to_world[0], texel_density
    )
    color, view_weight = np.zeros_like(image_color), np.zeros_like(image_weight)
    rest = np.flatnonzero(image_weight < 1)
    color[rest], view_weight[rest] = projection.from_generated_views(caster, points[rest], views, best)
    unseen = np.flatnonzero((image_weight < SEEN) & (view_weight < SEEN))
    field_color = field.color(points.position[unseen])
    color[unseen] = field_color + view_weight[unseen, None] * (color[unseen] - field_color)
    color += image_weight[:, None] * (image_color - color)
    confidence = np.where(image_weight >= 0.5, INPUT_IMAGE, np.where(view_weight >= 0.5, GENERATED, FIELD))
    return color, confidence.astype(np.uint8)


def _uv_scale(mesh: Mesh, uvs: np.ndarray) -> float:
    """UV units per world unit, on average over the surface."""
    corners, flat = mesh.vertices[mesh.faces], uvs.astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return float(np.sqrt((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / area))


def _fill_margin(texture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Give every texel outside the charts the color of the nearest one inside: no visible seam at any mipmap level."""
    return nearest_values(texture, covered, np.ones_like(covered)).reshape(texture.shape)

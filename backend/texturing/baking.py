"""Texture baking: the input image where it shows the surface, generated views elsewhere, the field for the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

import numpy as np
import trimesh

from ..data_types import Cutout, Field, Mesh, TexturedMesh, Views
from ..image_filters import nearest_values
from ..progress import OnProgress, ignore_progress
from ..rendering.raycasting import RayCaster
from ..threads import map_on_threads
from . import projection, rasterization
from .surface_points import SurfacePoints
from .unwrapping import unwrap

INPUT_IMAGE, GENERATED, FIELD = 255, 170, 85
"""Values of the confidence map."""
SEEN = 0.99
"""Weight of the views from which on the field's color would not be seen."""
CHUNK_SIZE = 1 << 16
"""Texels that a thread colors at once, in a quarter of a second or less."""


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
    with ThreadPoolExecutor(1) as thread:
        unwrapping = thread.submit(unwrap, mesh, size)
        normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals.astype(np.float32)
        caster = RayCaster(mesh)
        generated = None if views is None else projection.GeneratedViews(caster, mesh, views)
        uvs = unwrapping.result()
    image = None
    if views is not None and cutout is not None:
        density = size * _uv_scale(mesh, uvs)
        image = projection.InputImage(caster, cutout.image, views.camera_to_world[0], density)
    triangles = uvs.astype(np.float64) * size
    face, column, row = rasterization.covered_samples(triangles)

    def project(start: int) -> tuple[SurfacePoints, _Projected | None]:
        """The texels from ``start`` on, and what the images show there."""
        chunk = slice(start, start + CHUNK_SIZE)
        texels = np.stack([column[chunk], row[chunk]], -1) + 0.5
        weights = rasterization.barycentric(triangles[face[chunk]], texels).astype(np.float32)
        corners = mesh.faces[face[chunk]]
        position = np.einsum("pc,pcd->pd", weights, mesh.vertices[corners])
        normal = np.einsum("pc,pcd->pd", weights, normals[corners])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        points = SurfacePoints(face[chunk], position, normal)
        return points, None if image is None or generated is None else _project(image, generated, points)

    texture = np.zeros((size, size, 3), np.float32)
    confidence = np.zeros((size, size), np.uint8)
    starts = range(0, len(face), CHUNK_SIZE)
    with closing(map_on_threads(project, starts)) as projected:
        for start, (points, colors) in zip(starts, projected, strict=True):
            chunk = slice(start, start + CHUNK_SIZE)
            texel = size - 1 - row[chunk], column[chunk]
            texture[texel], confidence[texel] = _blend(field, points, colors)
            on_progress(min(start + CHUNK_SIZE, len(face)) / len(face))
    texture = _fill_margin(texture, confidence > 0)
    return TexturedMesh(mesh, uvs, np.round(texture * 255).clip(0, 255).astype(np.uint8), confidence)


class _Projected(NamedTuple):
    """Colors (P, 3) and weights (P,) of P points, float32 0..1, from the input image and from the generated views."""

    image: np.ndarray
    image_weight: np.ndarray
    views: np.ndarray
    view_weight: np.ndarray


def _project(image: projection.InputImage, generated: projection.GeneratedViews, points: SurfacePoints) -> _Projected:
    image_color, image_weight = image.colors(points)
    color, view_weight = np.zeros_like(image_color), np.zeros_like(image_weight)
    rest = np.flatnonzero(image_weight < 1)
    color[rest], view_weight[rest] = generated.colors(points[rest])
    return _Projected(image_color, image_weight, color, view_weight)


def _blend(field: Field, points: SurfacePoints, colors: _Projected | None) -> tuple[np.ndarray, np.ndarray]:
    """Colors (P, 3) float32 0..1 and confidences (P,) uint8 of points."""
    if colors is None:
        return field.color(points.position), np.full(len(points), FIELD, np.uint8)
    image, image_weight, color, view_weight = colors
    unseen = np.flatnonzero((image_weight < SEEN) & (view_weight < SEEN))
    field_color = field.color(points.position[unseen])
    color[unseen] = field_color + view_weight[unseen, None] * (color[unseen] - field_color)
    color += image_weight[:, None] * (image - color)
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

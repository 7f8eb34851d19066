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
CHUNK_SIZE, FIELD_CHUNK_SIZE = 1 << 16, 1 << 18
"""Texels that a thread projects at once, and those whose field colors are asked for at once: a second or less."""
PROJECTION_TIME = 0.8
"""Its usual share of the time; the field's colors take the rest."""


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
    gives all colors. on_progress: called after every chunk of texels with the share of the work that is done.
    """
    with ThreadPoolExecutor(1) as thread:
        unwrapping = thread.submit(unwrap, mesh, size)
        normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals.astype(np.float32)
        caster = RayCaster(mesh)
        visibility = generated = None
        if views is not None:
            visibility = projection.InputVisibility(caster, mesh, views.camera_to_world[0])
            generated = projection.GeneratedViews(caster, mesh, views)
        uvs = unwrapping.result()
    image = None
    if visibility is not None and generated is not None and cutout is not None:
        image = projection.InputImage(visibility, cutout.image, size * _uv_scale(mesh, uvs))
        generated.match(image)
    triangles = uvs.astype(np.float64) * size
    face, column, row = rasterization.covered_samples(triangles)

    def project(start: int) -> _Texels:
        """The texels from ``start`` on."""
        chunk = slice(start, start + CHUNK_SIZE)
        texels = np.stack([column[chunk], row[chunk]], -1) + 0.5
        weights = rasterization.barycentric(triangles[face[chunk]], texels).astype(np.float32)
        corners = mesh.faces[face[chunk]]
        position = np.einsum("pc,pcd->pd", weights, mesh.vertices[corners])
        normal = np.einsum("pc,pcd->pd", weights, normals[corners])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        return _project(image, generated, SurfacePoints(face[chunk], position, normal))

    colors, positions = (np.empty((len(face), 3), np.float32) for _ in range(2))
    confidence, field_share = np.empty(len(face), np.uint8), np.empty(len(face), np.float32)
    share_of_time = PROJECTION_TIME if image is not None else 0.0
    starts = range(0, len(face), CHUNK_SIZE)
    with closing(map_on_threads(project, starts)) as projected:
        for start, texels in zip(starts, projected, strict=True):
            chunk = slice(start, start + CHUNK_SIZE)
            colors[chunk], field_share[chunk], confidence[chunk], positions[chunk] = texels
            on_progress(share_of_time * min(start + CHUNK_SIZE, len(face)) / len(face))
    # Only now: the networks have threads of their own, which would wait for those above.
    unseen = np.flatnonzero(field_share)
    for start in range(0, len(unseen), FIELD_CHUNK_SIZE):
        chunk = unseen[start : start + FIELD_CHUNK_SIZE]
        colors[chunk] += field_share[chunk, None] * field.color(positions[chunk])
        on_progress(share_of_time + (1 - share_of_time) * min((start + FIELD_CHUNK_SIZE) / len(unseen), 1))
    texture, map_of_sources = np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.uint8)
    texel = size - 1 - row, column
    texture[texel], map_of_sources[texel] = colors, confidence
    texture = _fill_margin(texture, map_of_sources > 0)
    return TexturedMesh(mesh, uvs, np.round(texture * 255).clip(0, 255).astype(np.uint8), map_of_sources)


class _Texels(NamedTuple):
    """What images show of P points."""

    colors: np.ndarray
    """(P, 3) float32 0..1, without what the field adds."""
    field_share: np.ndarray
    """(P,) float32 0..1: weight of the field's colors."""
    confidence: np.ndarray
    """(P,) uint8."""
    position: np.ndarray
    """(P, 3) float32 world units."""


def _project(
    image: projection.InputImage | None, generated: projection.GeneratedViews | None, points: SurfacePoints
) -> _Texels:
    color, field_share = np.zeros((len(points), 3), np.float32), np.ones(len(points), np.float32)
    confidence = np.full(len(points), FIELD, np.uint8)
    if image is not None and generated is not None:
        image_color, image_weight = image.colors(points)
        view_weight = np.zeros_like(image_weight)
        rest = np.flatnonzero(image_weight < 1)
        color[rest], view_weight[rest] = generated.colors(points[rest])
        view_share = np.where((image_weight < SEEN) & (view_weight < SEEN), view_weight, 1)
        color *= ((1 - image_weight) * view_share)[:, None]
        color += image_weight[:, None] * image_color
        field_share = (1 - image_weight) * (1 - view_share)
        confidence = np.where(image_weight >= 0.5, INPUT_IMAGE, np.where(view_weight >= 0.5, GENERATED, FIELD))
    return _Texels(color, field_share, confidence.astype(np.uint8), points.position)


def _uv_scale(mesh: Mesh, uvs: np.ndarray) -> float:
    """UV units per world unit, on average over the surface."""
    corners, flat = mesh.vertices[mesh.faces], uvs.astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return float(np.sqrt((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / area))


def _fill_margin(texture: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Give every texel outside the charts the color of the nearest one inside: no visible seam at any mipmap level."""
    return nearest_values(texture, covered, np.ones_like(covered)).reshape(texture.shape)

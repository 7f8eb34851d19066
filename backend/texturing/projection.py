"""Colors of points on a mesh, projected from images of it: the input image and the generated views."""

from __future__ import annotations

import cv2
import numpy as np

from .. import camera
from ..data_types import Mesh, Views
from ..rendering.raycasting import RayCaster
from ..rendering.sampling import sample_bilinear
from .surface_points import SurfacePoints

VISIBLE = 0.99
"""A point is visible if a ray to it travels at least this fraction of the way without a hit."""
OPAQUE = 0.9
"""Alpha from which on a pixel of the input image counts as the object."""
RIM = 0.006
"""Width of the cutout's rim, relative to the image's side, where colors may contain background."""
DEPTH_STEP = 0.02
"""A surface this far (world units) behind its neighborhood in the image loses weight; at twice that, all of it."""
NEIGHBORHOOD = 3
"""Radius of that neighborhood in pixels of a depth map of DEPTH_MAP_SIZE pixels a side."""
DEPTH_MAP_SIZE = 256
VIEWS_PER_FACE = 4
"""Generated views considered for each face."""
SHARPNESS = 6
"""Exponent of the cosine in a view's weight: the most frontal view dominates, the others smooth the transitions."""


def from_input_image(
    caster: RayCaster, points: SurfacePoints, image: np.ndarray, pose: np.ndarray, texel_density: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colors of P points from the input image.

    caster: of the mesh that they lie on. image: (S, S, 4) float32 RGBA, straight alpha, of the camera pose (4, 4).
    texel_density: texels per world unit.
    Returns colors (P, 3) float32 and weights (P,) float32 0..1: 1 where the image shows the point clearly, 0 where
    it is occluded, at grazing angles and on the cutout's rim, with smooth transitions.
    """
    image = _limit_resolution(image, 2 * texel_density)
    size = len(image)
    color, weight = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    cosine = _cosines(points.position, points.normal, pose[:3, 3])
    inside = cv2.distanceTransform((image[..., 3] > OPAQUE).astype(np.uint8), cv2.DIST_L2, 3)
    inside = _smoothstep(RIM * size, 3 * RIM * size, inside)
    pixels, depth = camera.project(points.position, pose, size)
    visible = np.flatnonzero((cosine > 0.1) & (depth > 0) & (pixels >= 0).all(1) & (pixels <= size).all(1))
    visible = visible[_is_visible(caster, points.position[visible], pose[None, :3, 3], np.zeros(len(visible), int))]
    pixels = pixels[visible]
    color[visible] = sample_bilinear(image[..., :3], pixels)
    weight[visible] = _smoothstep(0.12, 0.35, cosine[visible]) * sample_bilinear(inside, pixels)
    depth_gap = _depth_gap(caster, points.position[visible], cosine[visible], pose)
    weight[visible] *= 1 - _smoothstep(DEPTH_STEP, 2 * DEPTH_STEP, depth_gap)
    return color, weight


def from_generated_views(
    caster: RayCaster, points: SurfacePoints, views: Views, best: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Colors (P, 3) float32 of points, blended from their faces' ``best_views``, and weights (P,) float32 0..1."""
    total, weights = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    strength = np.zeros(len(points), np.float32)
    cameras = views.camera_to_world[:, :3, 3]
    chosen = best[points.face].astype(np.int16).ravel()
    order = np.argsort(chosen, kind="stable")
    order = order[np.searchsorted(chosen[order], 0) :]
    index, view = order // best.shape[1], chosen[order]
    visible = _is_visible(caster, points.position[index], cameras, view)
    index, view = index[visible], view[visible]
    size = views.images.shape[1]
    blur = size // 64 * 2 + 1
    for k in np.unique(view):
        rows = index[view == k]
        cosine = _cosines(points.position[rows], points.normal[rows], cameras[k])
        pixels, _ = camera.project(points.position[rows], views.camera_to_world[k], size)
        mask = cv2.blur(cv2.erode(views.masks[k], np.ones((3, 3))), (blur, blur))
        inside = sample_bilinear(_smoothstep(0.5, 1, mask), pixels)
        weight = np.maximum(cosine, 0) ** SHARPNESS * inside
        total[rows] += weight[:, None] * sample_bilinear(views.images[k], pixels)
        weights[rows] += weight
        strength[rows] = np.maximum(strength[rows], _smoothstep(0.1, 0.3, cosine) * inside)
    return total / np.maximum(weights, 1e-12)[:, None], strength


def best_views(mesh: Mesh, caster: RayCaster, views: Views) -> np.ndarray:
    """The generated views (not index 0) that show each face best: (F, up to VIEWS_PER_FACE) indices, -1 for none."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    centers = corners.mean(1)
    cameras = views.camera_to_world[:, :3, 3]
    score = np.stack([_cosines(centers, normals, camera_center) for camera_center in cameras], -1)
    score[:, 0] = 0
    face, view = np.nonzero(score > 0.1)
    # visibility is tested at the center and near each corner
    samples = np.concatenate([centers[:, None], 0.9 * corners + 0.1 * centers[:, None]], 1)
    visibility = np.stack([_is_visible(caster, samples[face, k], cameras, view) for k in range(4)]).mean(0)
    quality = np.zeros_like(score)
    quality[face, view] = score[face, view] ** 2 * visibility
    best = np.argsort(-quality, axis=1)[:, :VIEWS_PER_FACE]
    return np.where(np.take_along_axis(quality, best, 1) > 0, best, -1)


def _is_visible(caster: RayCaster, points: np.ndarray, cameras: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Whether points (P, 3) are unoccluded from the camera centers (N, 3) with index ``view`` (P,): (P,) bool."""
    origins = cameras[view]
    return caster.cast(origins, points - origins)[1] > VISIBLE


def _cosines(positions: np.ndarray, normals: np.ndarray, camera_center: np.ndarray) -> np.ndarray:
    """Cosines (P,) between normals (P, 3) and the directions from positions (P, 3) to a camera center (3,)."""
    towards = camera_center - positions
    return np.einsum("pd,pd->p", normals, towards) / np.linalg.norm(towards, axis=1)


def _depth_gap(caster: RayCaster, positions: np.ndarray, cosines: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """How much farther (world units) points (P, 3) are from the camera than the nearest surface in their neighborhood
    in the image, less what their own slope explains.

    Image and mesh never agree to the pixel: next to a depth step, the image may show the surface in front.
    """
    size = DEPTH_MAP_SIZE
    origins, directions = (array.reshape(-1, 3) for array in camera.rays(pose, size))
    distance = caster.cast(origins, directions)[1]
    distance = np.where(np.isinf(distance), camera.RADIUS * 2, distance).astype(np.float32).reshape(size, size)
    nearest = cv2.erode(distance, np.ones((2 * NEIGHBORHOOD + 1,) * 2))
    pixels, _ = camera.project(positions, pose, size)
    slope = np.sqrt(np.maximum(1 / np.maximum(cosines, 0.1) ** 2 - 1, 0))
    sideways = (NEIGHBORHOOD + 1) * camera.RADIUS / (camera.FOCAL * size)
    return np.linalg.norm(positions - pose[:3, 3], axis=1) - sample_bilinear(nearest, pixels) - slope * sideways


def _limit_resolution(image: np.ndarray, density: float) -> np.ndarray:
    """Shrink an image (S, S, 4) to at most ``density`` pixels per world unit at the origin's depth."""
    size = int(min(len(image), np.ceil(density * camera.RADIUS / camera.FOCAL)))
    if size == len(image):
        return image
    premultiplied = np.concatenate([image[..., :3] * image[..., 3:], image[..., 3:]], -1)
    small = cv2.resize(premultiplied, (size, size), interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return small


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, a cubic polynomial in between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)

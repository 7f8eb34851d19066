"""Colors for points on a mesh, taken from pictures of it: the user's own and the generated ones."""

from __future__ import annotations

import cv2
import numpy as np

from .. import camera
from ..rendering import raycasting
from ..types import Mesh, Views
from .surface_points import Points

REACH = 0.99
"""A ray that gets this far of its way to a point without a hit sees the point."""
OPAQUE = 0.9
BLEEDING = 0.006
"""Width of the rim of a cut-out object, as a share of the picture, that may hold background."""
STEP = 0.02
"""How far (world units) behind its surroundings in the picture a surface is trusted less, at twice that not at all."""
AROUND = 3
"""What counts as surroundings: pixels of a 256 pixel picture."""
BEST = 4
"""Generated views considered for a face."""
SHARPNESS = 6
"""Exponent of the cosine in a view's weight: the view from straight ahead wins, its neighbors smooth the border."""


def from_photo(mesh: Mesh, points: Points, image: np.ndarray, pose: np.ndarray, texels: float):
    """Colors of points from the user's picture.

    image: (S, S, 4) float32 RGBA seen by the camera pose (4, 4); texels: the texture's density per world unit.
    Returns colors (P, 3) and weights (P,) 0..1: 1 where the picture shows the point clearly, 0 where it is hidden, at
    grazing angles and on the object's rim, with soft passages.
    """
    image = _no_finer_than(image, 2 * texels)
    size = len(image)
    color, weight = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    cosine = _cosines(points.position, points.normal, pose[:3, 3])
    inner = cv2.distanceTransform((image[..., 3] > OPAQUE).astype(np.uint8), cv2.DIST_L2, 3)
    inner = _smoothstep(BLEEDING * size, 3 * BLEEDING * size, inner)
    pixels, depth = camera.project(points.position, pose, size)
    ahead = np.flatnonzero((cosine > 0.1) & (depth > 0) & (pixels >= 0).all(1) & (pixels <= size).all(1))
    ahead = ahead[_sees(mesh, points.position[ahead], pose[None, :3, 3], np.zeros(len(ahead), int))]
    pixels = pixels[ahead]
    color[ahead] = _look_up(image[..., :3], pixels)
    weight[ahead] = _smoothstep(0.12, 0.35, cosine[ahead]) * _look_up(inner, pixels)
    weight[ahead] *= 1 - _smoothstep(STEP, 2 * STEP, _behind(mesh, points.position[ahead], cosine[ahead], pose))
    return color, weight


def from_views(mesh: Mesh, points: Points, views: Views, best: np.ndarray):
    """Colors of points from the views that ``best_views`` chose for their faces: (P, 3), and weights (P,) 0..1."""
    total, weights = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    strength = np.zeros(len(points), np.float32)
    eyes = views.camera_to_world[:, :3, 3]
    chosen = best[points.face].astype(np.int16).ravel()
    order = np.argsort(chosen, kind="stable")
    order = order[np.searchsorted(chosen[order], 0) :]
    index, view = order // best.shape[1], chosen[order]
    seen = _sees(mesh, points.position[index], eyes, view)
    index, view = index[seen], view[seen]
    size = views.images.shape[1]
    blur = size // 64 * 2 + 1
    for k in np.unique(view):
        rows = index[view == k]
        cosine = _cosines(points.position[rows], points.normal[rows], eyes[k])
        pixels, _ = camera.project(points.position[rows], views.camera_to_world[k], size)
        mask = cv2.blur(cv2.erode(views.masks[k], np.ones((3, 3))), (blur, blur))
        inside = _look_up(_smoothstep(0.5, 1, mask), pixels)
        weight = np.maximum(cosine, 0) ** SHARPNESS * inside
        total[rows] += weight[:, None] * _look_up(views.images[k], pixels)
        weights[rows] += weight
        strength[rows] = np.maximum(strength[rows], _smoothstep(0.1, 0.3, cosine) * inside)
    return total / np.maximum(weights, 1e-12)[:, None], strength


def best_views(mesh: Mesh, views: Views) -> np.ndarray:
    """The generated views (not index 0) that see each face best: (F, up to BEST) indices, -1 for none."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    centers = corners.mean(1)
    eyes = views.camera_to_world[:, :3, 3]
    score = np.stack([_cosines(centers, normals, eye) for eye in eyes], -1)
    score[:, 0] = 0
    face, view = np.nonzero(score > 0.1)
    # look at the middle and close to each corner
    spots = np.concatenate([centers[:, None], 0.9 * corners + 0.1 * centers[:, None]], 1)
    seen = np.stack([_sees(mesh, spots[face, k], eyes, view) for k in range(4)]).mean(0)
    shown = np.zeros_like(score)
    shown[face, view] = score[face, view] ** 2 * seen
    best = np.argsort(-shown, axis=1)[:, :BEST]
    return np.where(np.take_along_axis(shown, best, 1) > 0, best, -1)


def _sees(mesh: Mesh, points: np.ndarray, eyes: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Whether nothing stands between points (P, 3) and eyes[eye]: eyes (N, 3), eye (P,) -> (P,) bool."""
    origins = eyes[eye]
    return raycasting.cast(mesh, origins, points - origins)[1] > REACH


def _cosines(positions: np.ndarray, normals: np.ndarray, eye: np.ndarray) -> np.ndarray:
    towards = eye - positions
    return np.einsum("pd,pd->p", normals, towards) / np.linalg.norm(towards, axis=1)


def _behind(mesh: Mesh, positions: np.ndarray, cosines: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """How much farther points (P, 3) lie than the nearest thing around them in the picture, beyond their own slope.

    A picture and a mesh never agree to the pixel: next to such a step the picture may show what stands in front.
    """
    size = 256
    origins, directions = (a.reshape(-1, 3) for a in camera.rays(pose, size))
    distance = raycasting.cast(mesh, origins, directions)[1]
    distance = np.where(np.isinf(distance), camera.RADIUS * 2, distance).astype(np.float32).reshape(size, size)
    nearest = cv2.erode(distance, np.ones((2 * AROUND + 1,) * 2))
    pixels, _ = camera.project(positions, pose, size)
    slope = np.sqrt(np.maximum(1 / np.maximum(cosines, 0.1) ** 2 - 1, 0))
    sideways = (AROUND + 1) * camera.RADIUS / (camera.FOCAL * size)
    return np.linalg.norm(positions - pose[:3, 3], axis=1) - _look_up(nearest, pixels) - slope * sideways


def _no_finer_than(image: np.ndarray, density: float) -> np.ndarray:
    """Shrink a picture (S, S, 4) so that it has at most ``density`` pixels per world unit at the origin."""
    size = int(min(len(image), np.ceil(density * camera.RADIUS / camera.FOCAL)))
    if size == len(image):
        return image
    premultiplied = np.concatenate([image[..., :3] * image[..., 3:], image[..., 3:]], -1)
    small = cv2.resize(premultiplied, (size, size), interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
    return small


def _look_up(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear lookup of image (S, S) or (S, S, C) at pixel coordinates (P, 2), clamped at the border."""
    size = len(image)
    column, row = np.clip(pixels - 0.5, 0, size - 1).T
    left, top = column.astype(int), row.astype(int)
    right, bottom = np.minimum(left + 1, size - 1), np.minimum(top + 1, size - 1)
    x, y = (column - left).astype(np.float32), (row - top).astype(np.float32)
    if image.ndim == 3:
        x, y = x[:, None], y[:, None]
    upper = image[top, left] * (1 - x) + image[top, right] * x
    lower = image[bottom, left] * (1 - x) + image[bottom, right] * x
    return upper * (1 - y) + lower * y


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)

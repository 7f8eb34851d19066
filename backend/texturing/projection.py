"""Colors of points on a mesh, projected from images of it: the input image and the generated views."""

from __future__ import annotations

import cv2
import numpy as np

from .. import camera
from ..data_types import Mesh, Views
from ..image_filters import sample_bilinear
from ..rendering.raycasting import RayCaster
from .surface_points import SurfacePoints, face_centers

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
SMALL_FACE = 0.03
"""Longest side (world units) of faces of which four points stand for all. Nothing that is seen is much thinner."""
CLEAR = 0.8
"""Weight of both sources from which on their colors of a point are compared."""
FEWEST_COMPARED = 100
"""With fewer points that both show, generated colors stay as they are."""
LARGEST_DIFFERENCE = 0.2
"""A larger one is no matter of light."""
SHARPNESS = 6
"""Exponent of the cosine in a view's weight: the most frontal view dominates, the others smooth the transitions."""


class InputVisibility:
    """What the input camera sees of a mesh: all that ``InputImage`` needs but the image and its resolution."""

    def __init__(self, caster: RayCaster, mesh: Mesh, pose: np.ndarray):
        """pose: the camera's, (4, 4)."""
        self.caster, self.pose = caster, pose
        self.nearest = _nearest_depth(caster, pose)
        share = _visible_share(mesh, caster, np.arange(len(mesh.faces)), pose[None, :3, 3])
        self.is_whole = (share == 1) & _is_small(mesh)


class InputImage:
    """The input image as a source of colors."""

    def __init__(self, visibility: InputVisibility, image: np.ndarray, texel_density: float):
        """image: (S, S, 4) float32 RGBA, straight alpha. texel_density: texels per world unit."""
        self._visibility = visibility
        image = _limit_resolution(image, 2 * texel_density)
        self._colors, size = np.ascontiguousarray(image[..., :3]), len(image)
        inside = cv2.distanceTransform((image[..., 3] > OPAQUE).astype(np.uint8), cv2.DIST_L2, 3)
        self._inside = _smoothstep(RIM * size, 3 * RIM * size, inside)

    def colors(self, points: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """Colors (P, 3) float32 of P points and weights (P,) float32 0..1: 1 where the image shows the point clearly, 0
        where it is occluded, at grazing angles and on the cutout's rim, with smooth transitions."""
        seen_by, size = self._visibility, len(self._colors)
        color, weight = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
        cosine = _cosines(points.position, points.normal, seen_by.pose[:3, 3])
        pixels, depth = camera.project(points.position, seen_by.pose, size)
        seen = np.flatnonzero((cosine > 0.1) & (depth > 0) & (pixels >= 0).all(1) & (pixels <= size).all(1))
        visible = seen_by.is_whole[points.face[seen]]
        unsure = np.flatnonzero(~visible)
        visible[unsure] = _is_visible(seen_by.caster, points.position[seen[unsure]], seen_by.pose[:3, 3])
        seen = seen[visible]
        pixels = pixels[seen]
        color[seen] = sample_bilinear(self._colors, pixels)
        weight[seen] = _smoothstep(0.12, 0.35, cosine[seen]) * sample_bilinear(self._inside, pixels)
        depth_gap = _depth_gap(seen_by.nearest, points.position[seen], cosine[seen], seen_by.pose)
        weight[seen] *= 1 - _smoothstep(DEPTH_STEP, 2 * DEPTH_STEP, depth_gap)
        return color, weight


class GeneratedViews:
    """The generated views as a source of colors; index 0 of ``views`` is the input image, which is not used."""

    def __init__(self, caster: RayCaster, mesh: Mesh, views: Views):
        self._caster, self._views = caster, views
        self._offsets = np.zeros((len(views.names), 3), np.float32)
        self._centers = face_centers(mesh)
        self._best, self._is_whole = _best_views(mesh, self._centers, caster, views)
        blur = (views.images.shape[1] // 64 * 2 + 1,) * 2
        self._inside = [_smoothstep(0.5, 1, cv2.blur(cv2.erode(mask, np.ones((3, 3))), blur)) for mask in views.masks]

    def colors(self, points: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """Colors (P, 3) float32 of points, blended from the views that show their faces best, and weights (P,) float32
        0..1."""
        total, weights = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
        strength = np.zeros(len(points), np.float32)
        poses, size = self._views.camera_to_world, self._views.images.shape[1]
        cameras = poses[:, :3, 3]
        chosen = self._best[points.face].astype(np.int16).ravel()
        order = np.argsort(chosen, kind="stable")
        order = order[np.searchsorted(chosen[order], 0) :]
        index, view = order // self._best.shape[1], chosen[order]
        visible = self._is_whole[points.face].ravel()[order]
        unsure = np.flatnonzero(~visible)
        visible[unsure] = _is_visible(self._caster, points.position[index[unsure]], cameras[view[unsure]])
        index, view = index[visible], view[visible]
        for k in np.unique(view):
            rows = index[view == k]
            cosine = _cosines(points.position[rows], points.normal[rows], cameras[k])
            pixels, _ = camera.project(points.position[rows], poses[k], size)
            inside = sample_bilinear(self._inside[k], pixels)
            weight = np.maximum(cosine, 0) ** SHARPNESS * inside
            colors = sample_bilinear(self._views.images[k], pixels) + self._offsets[k]
            total[rows] += weight[:, None] * colors.clip(0, 1)
            weights[rows] += weight
            strength[rows] = np.maximum(strength[rows], _smoothstep(0.1, 0.3, cosine) * inside)
        return total / np.maximum(weights, 1e-12)[:, None], strength

    def match(self, image: InputImage) -> None:
        """From now on, add to the colors of what was generated the mean difference between the image's and these at
        those of the faces' centers that both show clearly.

        A view model makes all views in one light, which is not exactly the input image's: where they meet, one would
        see a seam. Given views stay as they are.
        """
        (expected, weight), (colors, strength) = image.colors(self._centers), self.colors(self._centers)
        compared = (weight > CLEAR) & (strength > CLEAR)
        if compared.sum() < FEWEST_COMPARED:
            return
        difference = (expected[compared] - colors[compared]).mean(0)
        if np.abs(difference).max() <= LARGEST_DIFFERENCE:
            self._offsets[np.isin(self._views.names, list(camera.GENERATED_VIEWS))] += difference


def _best_views(mesh: Mesh, centers: SurfacePoints, caster: RayCaster, views: Views) -> tuple[np.ndarray, np.ndarray]:
    """The generated views (not index 0) that show each face best: (F, up to VIEWS_PER_FACE) indices, -1 for none; and
    whether they show all of it, of the same shape."""
    cameras = views.camera_to_world[:, :3, 3]
    score = np.stack([_cosines(centers.position, centers.normal, camera_center) for camera_center in cameras], -1)
    score[:, 0] = 0
    face, view = np.nonzero(score > 0.1)
    quality, visible = np.zeros_like(score), np.zeros_like(score)
    visible[face, view] = _visible_share(mesh, caster, face, cameras[view])
    quality[face, view] = score[face, view] ** 2 * visible[face, view]
    best = np.argsort(-quality, axis=1)[:, :VIEWS_PER_FACE]
    is_whole = (np.take_along_axis(visible, best, 1) == 1) & _is_small(mesh)[:, None]
    return np.where(np.take_along_axis(quality, best, 1) > 0, best, -1), is_whole


def _visible_share(mesh: Mesh, caster: RayCaster, face: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """How many of four points, at the center and near each corner, of faces (P,) are unoccluded from camera centers
    (P, 3) or (1, 3): (P,) shares. Where all are, texels of a small face are not tested one by one, which would take
    most of the time."""
    corners = mesh.vertices[mesh.faces[face]]
    centers = corners.mean(1)
    near_corners = 0.9 * corners + 0.1 * centers[:, None]
    samples = (centers, *near_corners.swapaxes(0, 1))
    return np.stack([_is_visible(caster, points, cameras) for points in samples]).mean(0)


def _is_small(mesh: Mesh) -> np.ndarray:
    """Whether faces (F,) have no side longer than ``SMALL_FACE``."""
    corners = mesh.vertices[mesh.faces]
    return (np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2) <= SMALL_FACE).all(1)


def _is_visible(caster: RayCaster, points: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Whether points (P, 3) are unoccluded from camera centers (P, 3) or (3,): (P,) bool."""
    origins = np.broadcast_to(cameras, points.shape)
    return caster.cast(origins, points - origins)[1] > VISIBLE


def _cosines(positions: np.ndarray, normals: np.ndarray, camera_center: np.ndarray) -> np.ndarray:
    """Cosines (P,) between normals (P, 3) and the directions from positions (P, 3) to a camera center (3,)."""
    towards = camera_center - positions
    return np.einsum("pd,pd->p", normals, towards) / np.linalg.norm(towards, axis=1)


def _nearest_depth(caster: RayCaster, pose: np.ndarray) -> np.ndarray:
    """Distance from a camera to the nearest surface in the neighborhood of each pixel (S, S) of a depth map."""
    origins, directions = (array.reshape(-1, 3) for array in camera.rays(pose, DEPTH_MAP_SIZE))
    distance = caster.cast(origins, directions)[1]
    distance = np.where(np.isinf(distance), camera.RADIUS * 2, distance).astype(np.float32)
    return cv2.erode(distance.reshape((DEPTH_MAP_SIZE,) * 2), np.ones((2 * NEIGHBORHOOD + 1,) * 2))


def _depth_gap(nearest: np.ndarray, positions: np.ndarray, cosines: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """How much farther (world units) points (P, 3) are from the camera than the ``_nearest_depth`` of their
    neighborhood in the image, less what their own slope explains.

    Image and mesh never agree to the pixel: next to a depth step, the image may show the surface in front.
    """
    size = len(nearest)
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

"""The ground truth of a shape: images of it, what the input camera sees of it, and how well results agree with it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from backend import camera
from backend.data_types import Mesh, TexturedMesh
from backend.rendering.raycasting import RayCaster
from backend.rendering.sampling import sample_texture

from . import metrics
from .shapes import Shape
from .surface_points import SurfacePoints, face_normals, sample_surface, visible
from .topology import genus

INPUT_SIZE = 512
"""Pixels along a side of the input images."""
VIEW_SIZE = 256
"""Pixels along a side of the images in which appearance is compared."""
NOVEL_VIEWS = [(90.0 - elevation, 15.0 + 30.0 * k) for elevation in (30.0, 0.0) for k in range(12)]
"""Polar angle and azimuth (degrees) of the 24 views in which appearance is compared; none is the input's own."""
MAX_RAYS = 3_000_000
"""Rays cast at once; about 200 MB."""


@dataclass(frozen=True)
class SurfaceHits:
    """Where the rays of some images, one after the other, meet the surface."""

    hit: np.ndarray
    """(P,) bool, one per ray."""
    at: SurfacePoints
    """One point per hit."""
    normals: np.ndarray
    """(hits, 3) unit normals on the side that is seen."""


@dataclass(frozen=True)
class NovelViews:
    """The N views in which appearance is compared."""

    poses: np.ndarray
    """(N, 4, 4) camera-to-world."""
    images: np.ndarray
    """(N, S, S, 3) float32 on white."""
    visible: np.ndarray
    """(N, S, S) bool: pixels that show a point of the object that the input camera sees."""
    hidden: np.ndarray
    """(N, S, S) bool: pixels that show a point of the object that the input camera does not see."""


class GroundTruth:
    """A shape with its true surface, in world space."""

    def __init__(self, shape: Shape, view_size: int | None = None):
        """``view_size`` (default: ``VIEW_SIZE``) sets the accuracy."""
        self.shape, self.view_size = shape, view_size or VIEW_SIZE
        self.pose = camera.camera_to_world(90.0 - shape.elevation, 0.0)
        """The input camera's pose (4, 4)."""

    def render(self, poses: np.ndarray, size: int, samples: int = 2) -> np.ndarray:
        """Images from cameras (N, 4, 4) under the shape's light: (N, size, size, 4) float32 RGBA, straight alpha."""
        images = []
        for block in np.array_split(poses, -(-len(poses) * (size * samples) ** 2 // MAX_RAYS)):
            hits = self._cast(block, size * samples)
            fine = np.zeros((len(hits.hit), 4), np.float32)
            fine[hits.hit, :3], fine[hits.hit, 3] = self.shape.colors(hits.at, hits.normals), 1
            small = fine.reshape(len(block), size, samples, size, samples, 4).mean((2, 4))
            small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
            images.append(small)
        return np.concatenate(images)

    def picture(self, azimuth: float = 0.0, size: int = INPUT_SIZE) -> np.ndarray:
        """A picture from the input camera's height, ``azimuth`` degrees around the shape: (size, size, 4) float32 RGBA
        in steps of 1/255, as image files have it. At 0 it is the input image."""
        pose = camera.camera_to_world(90.0 - self.shape.elevation, azimuth)
        return np.round(self.render(pose[None], size)[0] * 255) / 255

    def write_input_image(self, path: Path) -> None:
        """Write the input image as a file."""
        Image.fromarray(np.round(self.picture() * 255).astype(np.uint8)).save(path)

    @cached_property
    def reference(self) -> metrics.ReferenceSurface:
        """The true surface, sampled for comparisons."""
        mesh = self.shape.mesh
        at = sample_surface(mesh, metrics.SAMPLES)
        is_outside, directions = self.shape.outside(at)
        at, directions = at.select(is_outside), directions[is_outside]
        flat = face_normals(mesh, at.faces)
        is_visible = visible(mesh, at.points, flat, self.pose[:3, 3])
        colors = self.shape.colors(at, self.shape.normals(at, directions))
        return metrics.ReferenceSurface(at.points, flat, colors, is_visible, float(np.ptp(mesh.vertices, axis=0).max()))

    @cached_property
    def silhouette(self) -> np.ndarray:
        """Which pixels of the input camera show the object: (P,) bool."""
        return self.silhouette_of(self.shape.mesh)

    def silhouette_of(self, mesh: Mesh) -> np.ndarray:
        """Which pixels of the input camera, at twice the view size, show a mesh: (P,) bool."""
        return RayCaster(mesh).cast(*_rays(self.pose[None], 2 * self.view_size))[0]

    @cached_property
    def novel_views(self) -> NovelViews:
        poses = camera.camera_to_world(*np.transpose(NOVEL_VIEWS))
        mesh, hits = self.shape.mesh, self._cast(poses, self.view_size)
        shape = (len(poses), self.view_size, self.view_size)
        images = np.ones((len(hits.hit), 3), np.float32)
        images[hits.hit] = self.shape.colors(hits.at, hits.normals)
        seen, hidden = np.zeros((2, len(hits.hit)), bool)
        seen[hits.hit] = visible(mesh, hits.at.points, face_normals(mesh, hits.at.faces), self.pose[:3, 3])
        hidden[hits.hit] = ~seen[hits.hit]
        return NovelViews(poses, images.reshape(*shape, 3), seen.reshape(shape), hidden.reshape(shape))

    def evaluate(self, prediction: TexturedMesh) -> dict[str, float | None]:
        """All metrics of a prediction, which is already in the ground truth's world frame.

        The prediction is rendered unlit, because its texture contains the input image's light.
        """
        result: dict[str, float | None] = dict(self.reference.compare(prediction))
        result["volume_iou"] = metrics.volume_iou(self.shape.mesh, prediction.mesh)
        result["silhouette_iou"] = metrics.mask_iou(self.silhouette, self.silhouette_of(prediction.mesh))
        views = self.novel_views
        rendered, silhouettes = _render_unlit(prediction, views.poses, self.view_size)
        result["psnr"] = float(np.mean([metrics.psnr(*pair) for pair in zip(views.images, rendered, strict=True)]))
        result["psnr_visible"] = metrics.psnr(views.images, rendered, views.visible)
        result["psnr_hidden"] = metrics.psnr(views.images, rendered, views.hidden)
        result["torn_pixels"] = metrics.torn_pixels(views.visible | views.hidden, silhouettes)
        result["genus"] = genus(prediction.mesh.faces)
        return result

    def evaluate_all(self, predictions: Mapping[str, TexturedMesh]) -> dict[str, dict[str, float | None]]:
        """``evaluate`` of many predictions, two at a time: most of the work runs on one core."""
        _ = self.reference, self.novel_views, self.silhouette  # before threads share them
        with ThreadPoolExecutor(2) as pool:
            return dict(zip(predictions, pool.map(self.evaluate, predictions.values()), strict=True))

    def _cast(self, poses: np.ndarray, size: int) -> SurfaceHits:
        origins, directions = _rays(poses, size)
        hit, distance, face, weights = RayCaster(self.shape.mesh).cast(origins, directions)
        points = origins[hit] + distance[hit, None] * directions[hit]
        at = SurfacePoints(points, face[hit], weights[hit])
        return SurfaceHits(hit, at, self.shape.normals(at, directions[hit]))


def composite_on_white(rgba: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4), straight alpha -> (H, W, 3) on white."""
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])


def _render_unlit(textured: TexturedMesh, poses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images on white (N, size, size, 3) and silhouettes (N, size, size) bool of all poses (N, 4, 4) at once: preparing
    the mesh is the costly part."""
    hit, _, face, weights = RayCaster(textured.mesh).cast(*_rays(poses, size))
    uvs = np.einsum("pc,pcd->pd", weights[hit], textured.uvs[face[hit]])
    images = np.ones((len(hit), 3), np.float32)
    images[hit] = sample_texture(textured.texture, uvs)
    return images.reshape(len(poses), size, size, 3), hit.reshape(len(poses), size, size)


def _rays(poses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N * size * size, 3) of all pixels of all poses (N, 4, 4)."""
    origins, directions = zip(*(camera.rays(pose, size) for pose in poses), strict=True)
    return (
        np.concatenate([block.reshape(-1, 3) for block in origins]),
        np.concatenate([block.reshape(-1, 3) for block in directions]),
    )

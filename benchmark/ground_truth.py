"""The ground truth of a procedural scene: its true mesh, images of it, and what the input camera sees of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from backend import camera
from backend.data_types import Mesh, TexturedMesh
from backend.meshing.extraction import isosurface
from backend.meshing.grid_sampling import sample_coarse_to_fine
from backend.rendering import raycasting
from backend.rendering.sampling import sample_texture
from procedural.scene import Scene

from . import metrics

INPUT_SIZE = 512
"""Pixels along a side of the input images."""
RESOLUTION = 192
"""Grid cells along a side of the volume from which the true mesh is extracted."""
VIEW_SIZE = 256
"""Pixels along a side of the images in which appearance is compared."""
NOVEL_VIEWS = [(90.0 - elevation, 15.0 + 30.0 * k) for elevation in (30.0, 0.0) for k in range(12)]
"""Polar angle and azimuth (degrees) of the 24 views in which appearance is compared; none is the input's own."""
MAX_RAYS = 3_000_000
"""Rays cast at once; about 200 MB."""


def select_scenes(scenes: Sequence[Scene], counts: Mapping[str, int]) -> list[Scene]:
    """At most ``counts[group]`` scenes of each group, spread evenly over the list."""
    selected = []
    for group in dict.fromkeys(scene.group for scene in scenes):
        members = [scene for scene in scenes if scene.group == group]
        indices = np.linspace(0, len(members) - 1, min(counts[group], len(members))).round().astype(int)
        selected += [members[index] for index in indices]
    return selected


@dataclass(frozen=True)
class SurfaceHits:
    """Where the rays of some images, one after the other, meet the surface."""

    hit: np.ndarray
    """(P,) bool, one per ray."""
    points: np.ndarray
    """(hits, 3) float32 world points."""
    normals: np.ndarray
    """(hits, 3) float32 outward unit normals."""


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
    """A scene with its true surface, in world space."""

    def __init__(self, scene: Scene, resolution: int | None = None, view_size: int | None = None):
        """``resolution`` (default: ``RESOLUTION``) and ``view_size`` (default: ``VIEW_SIZE``) set the accuracy."""
        self.scene, self.view_size = scene, view_size or VIEW_SIZE
        self.pose = camera.camera_to_world(90.0 - scene.elevation, 0.0)
        """The input camera's pose (4, 4)."""
        # A scene has the distances and the half side of a field, which is all that this needs.
        values = sample_coarse_to_fine(scene, resolution or RESOLUTION)  # pyright: ignore[reportArgumentType]
        vertices, faces = isosurface(values)
        cell = 2 * scene.half_side / (len(values) - 1)
        self.mesh = Mesh((vertices * cell - scene.half_side).astype(np.float32), faces)

    def render(self, poses: np.ndarray, size: int, samples: int = 2) -> np.ndarray:
        """Images from cameras (N, 4, 4) under the scene's light: (N, size, size, 4) float32 RGBA, straight alpha."""
        images = []
        for block in np.array_split(poses, -(-len(poses) * (size * samples) ** 2 // MAX_RAYS)):
            hits = self._cast(block, size * samples)
            fine = np.zeros((len(hits.hit), 4), np.float32)
            fine[hits.hit, :3], fine[hits.hit, 3] = self._shade(hits), 1
            small = fine.reshape(len(block), size, samples, size, samples, 4).mean((2, 4))
            small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
            images.append(small)
        return np.concatenate(images)

    def input_image(self, size: int) -> np.ndarray:
        """The input image (size, size, 4) float32 RGBA."""
        return self.render(self.pose[None], size)[0]

    def write_input_image(self, path: Path) -> np.ndarray:
        """Write the input image as a file, and return what will be read from it: (S, S, 4) float32 RGBA."""
        stored = np.round(self.input_image(INPUT_SIZE) * 255).astype(np.uint8)
        Image.fromarray(stored).save(path)
        return stored.astype(np.float32) / 255

    @cached_property
    def reference(self) -> metrics.ReferenceSurface:
        """The true surface, sampled for comparisons."""
        return metrics.ReferenceSurface(self.mesh, self.pose[:3, 3])

    @cached_property
    def silhouette(self) -> np.ndarray:
        """Which pixels of the input camera show the object: (P,) bool."""
        return self.silhouette_of(self.mesh)

    def silhouette_of(self, mesh: Mesh) -> np.ndarray:
        """Which pixels of the input camera, at twice the view size, show a mesh: (P,) bool."""
        return raycasting.cast(mesh, *_rays(self.pose[None], 2 * self.view_size))[0]

    @cached_property
    def novel_views(self) -> NovelViews:
        poses = camera.camera_to_world(*np.transpose(NOVEL_VIEWS))
        hits = self._cast(poses, self.view_size)
        shape = (len(poses), self.view_size, self.view_size)
        images = np.ones((len(hits.hit), 3), np.float32)
        images[hits.hit] = self._shade(hits)
        visible, hidden = np.zeros((2, len(hits.hit)), bool)
        visible[hits.hit] = metrics.visible(self.mesh, hits.points, hits.normals, self.pose[:3, 3])
        hidden[hits.hit] = ~visible[hits.hit]
        return NovelViews(poses, images.reshape(*shape, 3), visible.reshape(shape), hidden.reshape(shape))

    def evaluate(self, prediction: TexturedMesh) -> dict[str, float | None]:
        """All metrics of a prediction, which is already in the ground truth's world frame.

        The prediction is rendered unlit, because its texture contains the input image's light.
        """
        result: dict[str, float | None] = dict(self.reference.compare(prediction.mesh))
        result["volume_iou"] = metrics.volume_iou(self.mesh, prediction.mesh)
        result["silhouette_iou"] = metrics.mask_iou(self.silhouette, self.silhouette_of(prediction.mesh))
        views = self.novel_views
        rendered = _render_unlit(prediction, views.poses, self.view_size)
        result["psnr"] = float(np.mean([metrics.psnr(*pair) for pair in zip(views.images, rendered, strict=True)]))
        result["psnr_visible"] = metrics.psnr(views.images, rendered, views.visible)
        result["psnr_hidden"] = metrics.psnr(views.images, rendered, views.hidden)
        return result

    def _cast(self, poses: np.ndarray, size: int) -> SurfaceHits:
        origins, directions = _rays(poses, size)
        hit, distance, face, _ = raycasting.cast(self.mesh, origins, directions)
        points = origins[hit] + distance[hit, None] * directions[hit]
        return SurfaceHits(hit, points, self._normals(points, face[hit]))

    def _normals(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        """The true normals, by differences of the distance over a tetrahedron; the face's own where those vanish."""
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
        normals = sum(corner * self.scene.distance(points + 5e-4 * corner)[:, None] for corner in corners)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        a, b, c = np.moveaxis(self.mesh.vertices[self.mesh.faces[face]], 1, 0)
        flat = np.cross(b - a, c - a)
        flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-20)
        return np.where(length > 1e-5, normals / np.maximum(length, 1e-20), flat)

    def _shade(self, hits: SurfaceHits) -> np.ndarray:
        return self.scene.shade(self.scene.color(hits.points), hits.normals).clip(0, 1)


def composite_on_white(rgba: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4), straight alpha -> (H, W, 3) on white."""
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])


def _render_unlit(textured: TexturedMesh, poses: np.ndarray, size: int) -> np.ndarray:
    """Images on white (N, size, size, 3) of all poses (N, 4, 4) at once: preparing the mesh is the costly part."""
    hit, _, face, weights = raycasting.cast(textured.mesh, *_rays(poses, size))
    uvs = np.einsum("pc,pcd->pd", weights[hit], textured.uvs[face[hit]])
    images = np.ones((len(hit), 3), np.float32)
    images[hit] = sample_texture(textured.texture, uvs)
    return images.reshape(len(poses), size, size, 3)


def _rays(poses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N * size * size, 3) of all pixels of all poses (N, 4, 4)."""
    origins, directions = zip(*(camera.rays(pose, size) for pose in poses), strict=True)
    return (
        np.concatenate([block.reshape(-1, 3) for block in origins]),
        np.concatenate([block.reshape(-1, 3) for block in directions]),
    )

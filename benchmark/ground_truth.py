"""A held-out scene made tangible: its true mesh, pictures of it, and what the input camera can see of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend import camera
from backend.meshing.extraction import isosurface
from backend.meshing.grid_sampling import sample_coarse_to_fine
from backend.rendering import raycasting
from backend.rendering.sampling import sample_texture
from backend.types import Mesh, TexturedMesh
from procedural.scene import Scene

from . import metrics

RESOLUTION = 192
"""Grid cells along a side for the true mesh."""
NOVEL = [(90.0 - elevation, 15.0 + 30.0 * k) for elevation in (30.0, 0.0) for k in range(12)]
"""Polar angle and azimuth of the 24 views that appearance is judged on; none is the input's own."""
MOST_RAYS = 3_000_000
"""Rays cast at once; about 200 MB."""


def choose(scenes: list[Scene], numbers: dict[str, int]) -> list[Scene]:
    """At most so many scenes of each group, spread evenly over the list."""
    chosen = []
    for group in dict.fromkeys(scene.group for scene in scenes):
        members = [scene for scene in scenes if scene.group == group]
        places = np.linspace(0, len(members) - 1, min(numbers[group], len(members))).round().astype(int)
        chosen += [members[place] for place in places]
    return chosen


@dataclass(frozen=True)
class Hits:
    """What the rays of some pictures meet, for all pixels in one row."""

    hit: np.ndarray
    """(P,) bool."""
    points: np.ndarray
    """(hits, 3) float32 world points."""
    normals: np.ndarray
    """(hits, 3) float32 outward unit normals."""


class Truth:
    """A scene with its true surface; ``view_size``: pixels along a side of the judged views."""

    def __init__(self, scene: Scene, resolution: int = RESOLUTION, view_size: int = 256):
        self.scene, self.view_size = scene, view_size
        self.pose = camera.camera_to_world(90.0 - scene.elevation, 0.0)
        values = sample_coarse_to_fine(scene, resolution)
        vertices, faces = isosurface(values)
        cell = 2 * scene.half_side / (len(values) - 1)
        self.mesh = Mesh((vertices * cell - scene.half_side).astype(np.float32), faces)

    def pictures(self, poses: np.ndarray, size: int, samples: int = 2) -> np.ndarray:
        """What cameras (N, 4, 4) see, lit as the scene is: (N, size, size, 4) float32 RGBA, straight alpha."""
        made = []
        for part in np.array_split(poses, -(-len(poses) * (size * samples) ** 2 // MOST_RAYS)):
            hits = self._hits(part, size * samples)
            fine = np.zeros((len(hits.hit), 4), np.float32)
            fine[hits.hit, :3], fine[hits.hit, 3] = self._lit(hits), 1
            small = fine.reshape(len(part), size, samples, size, samples, 4).mean((2, 4))
            small[..., :3] /= np.maximum(small[..., 3:], 1e-6)
            made.append(small)
        return np.concatenate(made)

    def picture(self, size: int) -> np.ndarray:
        """The input picture: (size, size, 4)."""
        return self.pictures(self.pose[None], size)[0]

    @cached_property
    def reference(self) -> metrics.Reference:
        return metrics.Reference(self.mesh, self.pose[:3, 3])

    @cached_property
    def silhouette(self) -> np.ndarray:
        """Which pixels of the input camera show the object: (P,) bool."""
        return _silhouette(self.mesh, self)

    @cached_property
    def novel(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The 24 judged views: poses (24, 4, 4), pictures on white (24, S, S, 3), and which pixels show object that the
        input camera sees, and object that it does not, both (24, S, S) bool."""
        poses = camera.camera_to_world(*np.transpose(NOVEL))
        hits = self._hits(poses, self.view_size)
        shape = (len(poses), self.view_size, self.view_size)
        pictures = np.ones((len(hits.hit), 3), np.float32)
        pictures[hits.hit] = self._lit(hits)
        seen, unseen = np.zeros((2, len(hits.hit)), bool)
        seen[hits.hit] = metrics.visible(self.mesh, hits.points, hits.normals, self.pose[:3, 3])
        unseen[hits.hit] = ~seen[hits.hit]
        return poses, pictures.reshape(*shape, 3), seen.reshape(shape), unseen.reshape(shape)

    def _hits(self, poses: np.ndarray, size: int) -> Hits:
        origins, directions = _rays(poses, size)
        hit, distance, face, _ = raycasting.cast(self.mesh, origins, directions)
        points = origins[hit] + distance[hit, None] * directions[hit]
        return Hits(hit, points, self._normals(points, face[hit]))

    def _normals(self, points: np.ndarray, face: np.ndarray) -> np.ndarray:
        """The true normals, by differences of the distance over a tetrahedron; the face's own where those vanish."""
        corners = np.float32([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        normals = sum(corner * self.scene.distance(points + 5e-4 * corner)[:, None] for corner in corners)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        a, b, c = np.moveaxis(self.mesh.vertices[self.mesh.faces[face]], 1, 0)
        flat = np.cross(b - a, c - a)
        flat /= np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-20)
        return np.where(length > 1e-5, normals / np.maximum(length, 1e-20), flat)

    def _lit(self, hits: Hits) -> np.ndarray:
        return self.scene.shade(self.scene.color(hits.points), hits.normals).clip(0, 1)


def score(truth: Truth, textured: TexturedMesh) -> dict[str, float | None]:
    """Every number of one prediction, already in the truth's world frame. The prediction is shown unlit: its texture
    carries the picture's light."""
    result = truth.reference.compare(textured.mesh)
    result["volume_iou"] = metrics.volume_iou(truth.mesh, textured.mesh)
    result["silhouette_iou"] = metrics.mask_iou(truth.silhouette, _silhouette(textured.mesh, truth))
    poses, pictures, seen, unseen = truth.novel
    shown = _unlit(textured, poses, truth.view_size)
    result["psnr"] = float(np.mean([metrics.psnr(*pair) for pair in zip(pictures, shown, strict=True)]))
    result["psnr_seen"] = metrics.psnr(pictures, shown, seen)
    result["psnr_unseen"] = metrics.psnr(pictures, shown, unseen)
    return result


def on_white(rgba: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4), straight alpha -> (H, W, 3) on white."""
    return rgba[..., :3] * rgba[..., 3:] + (1 - rgba[..., 3:])


def _unlit(textured: TexturedMesh, poses: np.ndarray, size: int) -> np.ndarray:
    """Pictures on white (N, size, size, 3) of all poses (N, 4, 4) at once: preparing the mesh is the costly part."""
    hit, _, face, weights = raycasting.cast(textured.mesh, *_rays(poses, size))
    uvs = np.einsum("pc,pcd->pd", weights[hit], textured.uvs[face[hit]])
    pictures = np.ones((len(hit), 3), np.float32)
    pictures[hit] = sample_texture(textured.texture, uvs)
    return pictures.reshape(len(poses), size, size, 3)


def _silhouette(mesh: Mesh, truth: Truth) -> np.ndarray:
    return raycasting.cast(mesh, *_rays(truth.pose[None], 2 * truth.view_size))[0]


def _rays(poses: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions (N * size * size, 3) of all pixels of all poses (N, 4, 4)."""
    rays = [camera.rays(pose, size) for pose in poses]
    return tuple(np.concatenate([one[part].reshape(-1, 3) for one in rays]) for part in (0, 1))

"""Ray casting against a mesh, and images rendered with it, on the CPU (Embree): no GPU, no window."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from .. import camera
from ..data_types import Mesh, TexturedMesh
from ..threads import map_on_threads
from .sampling import sample_texture

AMBIENT = 0.55
"""Brightness of a shaded surface that faces away from the lamp; 1 where it faces the lamp."""

BANDS = 4
"""Parts of an image, one above the other, that are rendered on threads of their own."""

EMBREE_BYTES = 256 << 20
EMBREE_BYTES_PER_FACE = 200
EMBREE_BYTES_PER_CORE = 10 << 20
"""What Embree may need at most: its first scene, and a stack for each of its threads."""


class RayCaster:
    """Casts rays against a mesh, from any number of threads; preparing it takes as long as casting 300,000 rays."""

    def __init__(self, mesh: Mesh):
        """Raises MemoryError."""
        needed = EMBREE_BYTES + EMBREE_BYTES_PER_FACE * len(mesh.faces) + EMBREE_BYTES_PER_CORE * (os.cpu_count() or 1)
        np.empty(needed, np.uint8)  # Embree itself crashes where memory runs out; reserved and never touched: free
        self._scene = EmbreeScene()
        vertices, faces = np.ascontiguousarray(mesh.vertices, np.float32), np.ascontiguousarray(mesh.faces, np.int32)
        TriangleMesh(self._scene, vertices, faces)
        self.cast(np.zeros((1, 3)), np.ones((1, 3)))  # the first one prepares the scene, and must be alone

    def cast(
        self, origins: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """First hit of each ray.

        origins, directions: (P, 3) world units; directions need not have unit length.
        Returns hit (P,) bool; distance (P,) float32 in lengths of the direction, inf without a hit; face (P,) int32, -1
        without a hit; and the barycentric coordinates (P, 3) float32 of the hits.
        """
        result = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=True
        )
        face = result["primID"]
        hit = face >= 0
        distance = np.where(hit, result["tfar"], np.float32(np.inf))
        u, v = result["u"], result["v"]
        return hit, distance, face, np.stack([1 - u - v, u, v], -1)


def render(textured: TexturedMesh, poses: np.ndarray, size: int, shaded: bool = False, samples: int = 1) -> np.ndarray:
    """A textured mesh seen by N cameras: poses (N, 4, 4) -> (N, size, size, 4) float32 RGBA 0..1, straight alpha.

    The base color is unlit, or lightly shaded by a lamp above the left of the camera.
    samples: rays along a pixel's side (2 means 2 x 2), averaged. Raises MemoryError.
    """
    caster = RayCaster(textured.mesh)
    normals = None
    if shaded:
        mesh = trimesh.Trimesh(textured.mesh.vertices, textured.mesh.faces, process=False)
        normals = mesh.vertex_normals.astype(np.float32)
    images = np.zeros((len(poses), size, size, 4), np.float32)
    windows = map_on_threads(lambda pose: _window(textured.mesh, pose, size), poses)  # most of an image is often empty
    bands = []
    for image, pose, (top, bottom, left, right) in zip(images, poses, windows, strict=True):
        edges = [top + (bottom - top) * number // BANDS for number in range(BANDS + 1)]
        bands += [(image, pose, slice(*rows), slice(left, right)) for rows in pairwise(edges)]
    for _ in map_on_threads(lambda band: _render(textured, caster, normals, *band, samples=samples), bands):
        pass
    return images


def _render(
    textured: TexturedMesh,
    caster: RayCaster,
    normals: np.ndarray | None,
    image: np.ndarray,
    pose: np.ndarray,
    rows: slice,
    columns: slice,
    samples: int,
) -> None:
    """Draw a part of one of ``render``'s images, black and empty before; with the normals (V, 3) of the vertices it is
    shaded."""
    inside = image[rows, columns]
    fine_rows, fine_columns = (slice(part.start * samples, part.stop * samples) for part in (rows, columns))
    rays = camera.rays(pose, len(image) * samples, fine_rows, fine_columns)
    origins, directions = (array.reshape(-1, 3) for array in rays)
    hit, _, face, weights = caster.cast(origins, directions)
    face, weights = face[hit], weights[hit]
    color = sample_texture(textured.texture, np.einsum("pc,pcd->pd", weights, textured.uvs[face]))
    if normals is not None:
        corners = normals[textured.mesh.faces[face]]
        color *= _shade(np.einsum("pc,pcd->pd", weights, corners), pose)[:, None]
    fine = np.zeros((len(hit), 4), np.float32)
    fine[hit, :3], fine[hit, 3] = color, 1
    fine = fine.reshape(inside.shape[0], samples, inside.shape[1], samples, 4)
    for row in range(samples):
        for column in range(samples):
            inside += fine[:, row, :, column]
    inside /= samples**2
    # colors were averaged with black where nothing was hit: undo the premultiplication
    inside[..., :3] /= np.maximum(inside[..., 3:], 1e-6)


def _window(mesh: Mesh, pose: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Outside of these rows (first and past the last) and columns, a camera sees nothing of a mesh."""
    pixels, depth = camera.project(mesh.vertices, pose, size)
    if not len(depth) or depth.min() <= 0:  # the mesh reaches behind the camera
        return 0, size, 0, size
    left, top = np.clip(np.floor(pixels.min(0)), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(pixels.max(0)), 0, size).astype(int)
    return top, bottom, left, right


def _shade(normals: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Brightness (P,) of points with these normals (P, 3) of any length."""
    length = np.sqrt(np.einsum("pd,pd->p", normals, normals))
    lamp = pose[:3, :3] @ (np.array([-0.4, 0.6, 0.7]) / np.sqrt(1.01)).astype(np.float32)
    return AMBIENT + (1 - AMBIENT) * np.clip(normals @ lamp / np.maximum(length, 1e-6), 0, 1)

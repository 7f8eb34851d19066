"""Rays against a mesh: what they hit, and pictures made that way. Needs no graphics card and no window (Embree)."""

from __future__ import annotations

import numpy as np
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from .. import camera
from ..types import Mesh, TexturedMesh

SHADE_FLOOR = 0.55
"""Brightness of a shaded surface seen edge on; 1 where it faces the lamp."""


def cast(mesh: Mesh, origins: np.ndarray, directions: np.ndarray):
    """First hit of each ray.

    origins, directions: (P, 3) world units, directions need not be unit length.
    Returns hit (P,) bool, distance (P,) float32 in lengths of the direction (inf where nothing is hit),
    face (P,) int32 (-1 where nothing is hit), barycentric (P, 3) float32 weights of the face's corners.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(mesh.vertices, np.float32), np.ascontiguousarray(mesh.faces, np.int32))
    found = scene.run(
        np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=True
    )
    face = found["primID"]
    hit = face >= 0
    distance = np.where(hit, found["tfar"], np.float32(np.inf))
    u, v = found["u"], found["v"]
    return hit, distance, face, np.stack([1 - u - v, u, v], -1)


def render(textured: TexturedMesh, pose: np.ndarray, size: int, shaded: bool = False, samples: int = 1) -> np.ndarray:
    """One camera's picture of a textured mesh: pose (4, 4) -> (size, size, 4) float32 RGBA 0..1, straight alpha.

    Unlit base color, or lightly shaded by a lamp above the camera's left shoulder.
    samples: rays per pixel side (2 means 2 x 2), averaged.
    """
    fine = size * samples
    origins, directions = (a.reshape(-1, 3) for a in camera.rays(pose, fine))
    hit, _, face, weights = cast(textured.mesh, origins, directions)
    face, weights = face[hit], weights[hit]
    color = sample(textured.texture, np.einsum("pc,pcd->pd", weights, textured.uvs[face]))
    if shaded:
        color *= _shade(textured.mesh, face, weights, pose)[:, None]
    picture = np.zeros((fine * fine, 4), np.float32)
    picture[hit, :3], picture[hit, 3] = color, 1
    picture = picture.reshape(size, samples, size, samples, 4).mean((1, 3))
    # colors were averaged with black where nothing was hit: back to straight alpha
    picture[..., :3] /= np.maximum(picture[..., 3:], 1e-6)
    return picture


def sample(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """Bilinear lookup: texture (T, T, 3) uint8, uvs (P, 2) with bottom-left origin -> (P, 3) float32 0..1."""
    height, width = texture.shape[:2]
    column = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1)
    row = np.clip((1 - uvs[:, 1]) * height - 0.5, 0, height - 1)
    left, top = column.astype(int), row.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = (column - left)[:, None], (row - top)[:, None]
    upper = texture[top, left] * (1 - x) + texture[top, right] * x
    lower = texture[bottom, left] * (1 - x) + texture[bottom, right] * x
    return ((upper * (1 - y) + lower * y) / 255).astype(np.float32)


def _shade(mesh: Mesh, face: np.ndarray, weights: np.ndarray, pose: np.ndarray) -> np.ndarray:
    normals = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).vertex_normals
    normal = np.einsum("pc,pcd->pd", weights, normals[mesh.faces[face]])
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    lamp = pose[:3, :3] @ (np.array([-0.4, 0.6, 0.7]) / np.sqrt(1.01))
    return SHADE_FLOOR + (1 - SHADE_FLOOR) * np.clip(normal @ lamp, 0, 1)

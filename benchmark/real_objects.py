"""Real objects from packs (``objects.pack``), framed, turned and lit as procedural scenes are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from backend import camera
from backend.data_types import Mesh
from backend.errors import ErrorCode, UserError
from backend.rendering.sampling import sample_texture
from objects.appearance import corner_normals, resize_texture
from objects.pack import ObjectPack, TexturedObject, is_test_object
from procedural.normalization import fit_to_frame
from procedural.sampling import sample_pose_and_light
from procedural.scene import shade

from .surface_points import SurfacePoints, face_normals, visible
from .topology import genus_of_union

GROUP = "real_objects"
FIRST_SEED = 1_000_000_000
TEXTURE_SIZE = 256
"""Pixels along a side of a texture; none in the project's packs is larger."""
EYES = np.concatenate(
    [
        camera.camera_to_world(90.0 - elevation, 360 / count * np.arange(count))[:, :3, 3]
        for elevation, count in ((-20.0, 10), (10.0, 10), (45.0, 10), (80.0, 4))
    ]
)
"""Where the cameras (34, 3) are that decide what can be seen from outside."""


class RealObject:
    """A textured mesh in world space as a ``Shape``; its triangles have two sides, both of which are seen and lit."""

    def __init__(self, textured: TexturedObject, name: str):
        self.name, self.family, self.group = name, "object", GROUP
        yaw, self.elevation, self._light = sample_pose_and_light(np.random.default_rng((FIRST_SEED, textured.id)))
        cos, sin = np.cos(yaw), np.sin(yaw)
        rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        vertices = torch.from_numpy(textured.vertices.astype(np.float64) @ rotation.T).float()
        used = torch.from_numpy(np.unique(textured.faces)).long()
        elevation = torch.tensor([self.elevation], dtype=torch.float32)
        center, scale = fit_to_frame(vertices[used][None], torch.ones(1, len(used), dtype=torch.bool), elevation)
        self.mesh = Mesh(((vertices - center) * scale).numpy(), textured.faces)
        self.genus = genus_of_union(self.mesh)
        self._corner_normals = corner_normals(self.mesh.vertices, textured.faces)
        self._uvs = textured.uvs[textured.uv_faces]
        self._texture = resize_texture(textured.texture, TEXTURE_SIZE)

    def outside(self, at: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """What the input camera or one of those at ``EYES`` sees: hidden inner faces do not count."""
        input_eye = camera.camera_to_world(90.0 - self.elevation, 0.0)[:3, 3]
        normals = face_normals(self.mesh, at.faces)
        directions = np.zeros((len(at.faces), 3))
        left = np.arange(len(at.faces))
        for eye in (input_eye, *EYES):
            seen = visible(self.mesh, at.points[left], normals[left], eye)
            directions[left[seen]] = at.points[left[seen]] - eye
            left = left[~seen]
        is_outside = np.ones(len(at.faces), bool)
        is_outside[left] = False
        return is_outside, directions / np.maximum(np.linalg.norm(directions, axis=-1, keepdims=True), 1e-12)

    def normals(self, at: SurfacePoints, directions: np.ndarray) -> np.ndarray:
        """Smooth where the angle between triangles allows."""
        normals = np.einsum("pc,pcd->pd", at.weights, self._corner_normals[at.faces])
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        is_front = np.einsum("pd,pd->p", face_normals(self.mesh, at.faces), directions) < 0
        return np.where(is_front[:, None], normals, -normals)

    def colors(self, at: SurfacePoints, normals: np.ndarray) -> np.ndarray:
        uvs = np.einsum("pc,pcd->pd", at.weights, self._uvs[at.faces])
        return shade(sample_texture(self._texture, uvs), normals, self._light).clip(0, 1)


def load_real_objects(packs: Sequence[Path], ids: str | Collection[int] = "test") -> list[RealObject]:
    """The objects of some packs: ``test`` (those that no training uses), ``all``, or those whose id is in ``ids``.

    Raises UserError for a file that is no pack, and where the packs hold none of the objects.
    """
    loaded = []
    for path in packs:
        try:
            pack = ObjectPack(path)
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise UserError(
                ErrorCode.BAD_OPTION, f"{path} is no pack of objects: give .npz files that objects.pack can read."
            ) from error
        if ids == "all":
            chosen = np.ones(len(pack), bool)
        else:
            chosen = is_test_object(pack.ids) if ids == "test" else np.isin(pack.ids, list(ids))
        loaded += [RealObject(pack[int(row)], f"{path.stem}-{pack.ids[row]}") for row in np.flatnonzero(chosen)]
    if not loaded:
        raise UserError(
            ErrorCode.BAD_OPTION, "The packs hold none of the objects asked for: choose others with --object-ids."
        )
    return loaded

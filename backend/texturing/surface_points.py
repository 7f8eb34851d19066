"""Points on a mesh whose colors are to be computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data_types import Mesh


@dataclass(frozen=True)
class SurfacePoints:
    """P points on a mesh, one for each texel that is baked."""

    face: np.ndarray
    """(P,) int."""
    position: np.ndarray
    """(P, 3) float32 world units."""
    normal: np.ndarray
    """(P, 3) float32, unit length, outwards."""

    def __len__(self) -> int:
        return len(self.face)

    def __getitem__(self, index: np.ndarray) -> SurfacePoints:
        """The points at an index or mask array."""
        return SurfacePoints(self.face[index], self.position[index], self.normal[index])


def face_centers(mesh: Mesh) -> SurfacePoints:
    """The centers of all faces, with the faces' normals."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return SurfacePoints(np.arange(len(mesh.faces)), corners.mean(1), normals)

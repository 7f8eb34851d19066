"""Points on a mesh whose colors are to be computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

"""Points on a mesh that wait for a color."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Points:
    """What baking knows of every texel on the surface."""

    face: np.ndarray
    """(P,) int."""
    position: np.ndarray
    """(P, 3) float32 world units."""
    normal: np.ndarray
    """(P, 3) float32, unit length, outwards."""

    def __len__(self) -> int:
        return len(self.face)

    def __getitem__(self, chosen) -> Points:
        return Points(self.face[chosen], self.position[chosen], self.normal[chosen])

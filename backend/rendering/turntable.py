"""A turntable picture of a textured mesh."""

from __future__ import annotations

import numpy as np

from .. import camera
from ..types import TexturedMesh
from . import raycasting

ABOVE = 30
"""Degrees that the second row looks down more than the first."""
STEEPEST = 80
ROOM = 2.45
"""Camera distance, in the object's radius about the origin, from which all of it fits into the picture."""
BACKGROUND = np.linspace(0.93, 0.78, 256)
"""Gray from top to bottom."""


def turntable(textured: TexturedMesh, elevation: float, size: int) -> np.ndarray:
    """Eight lightly shaded views on soft gray: (2 * size, 4 * size, 3) uint8.

    Above, four quarter turns at the input camera's elevation (degrees), first what the input camera sees; below, the
    quarter turns between them from higher up; from farther away where the object would not fit. size: one view's side
    in pixels.
    """
    distance = max(camera.RADIUS, ROOM * np.linalg.norm(textured.mesh.vertices, axis=1).max())
    higher = min(elevation + ABOVE, STEEPEST)
    gray = np.interp(np.linspace(0, 255, size), np.arange(256), BACKGROUND)[:, None, None]
    rows = []
    for degrees, first in ((elevation, 0), (higher, 45)):
        pictures = []
        for azimuth in range(first, 360, 90):
            pose = camera.camera_to_world(90 - degrees, azimuth, distance)
            picture = raycasting.render(textured, pose, size, shaded=True, samples=2)
            pictures.append(gray + picture[..., 3:] * (picture[..., :3] - gray))
        rows.append(np.concatenate(pictures, 1))
    return np.round(np.concatenate(rows) * 255).astype(np.uint8)

"""A turntable preview of a textured mesh."""

from __future__ import annotations

import numpy as np

from .. import camera
from ..data_types import TexturedMesh
from ..threads import map_on_threads
from . import raycasting

SECOND_ROW = 30
"""Degrees by which the second row's elevation exceeds the first's."""
MAX_ELEVATION = 80
"""Degrees."""
DISTANCE_RATIO = 2.45
"""Camera distance, in radii of the object about the origin, from which it fits into the image."""
BACKGROUND = np.linspace(0.93, 0.78, 256)
"""Gray from top to bottom."""


def turntable(textured: TexturedMesh, elevation: float, size: int) -> np.ndarray:
    """Eight lightly shaded views on soft gray: (2 * size, 4 * size, 3) uint8.

    The first row has four views 90 degrees apart at the input camera's elevation (degrees), starting with the input
    camera's own; the second row has those between them, from higher up. The camera moves back if the object would not
    fit. size: a view's side in pixels.
    """
    distance = max(camera.RADIUS, DISTANCE_RATIO * np.linalg.norm(textured.mesh.vertices, axis=1).max())
    second_elevation = min(elevation + SECOND_ROW, MAX_ELEVATION)
    gray = np.interp(np.linspace(0, 255, size), np.arange(256), BACKGROUND)[:, None, None]
    poses = [
        camera.camera_to_world(90 - degrees, azimuth, distance)
        for degrees, first in ((elevation, 0), (second_elevation, 45))
        for azimuth in range(first, 360, 90)
    ]
    images = raycasting.render(textured, np.stack(poses), size, shaded=True, samples=2)

    def on_gray(image: np.ndarray) -> np.ndarray:
        return np.round(255 * (gray + image[..., 3:] * (image[..., :3] - gray))).astype(np.uint8)

    rows = np.stack([*map_on_threads(on_gray, images)]).reshape(2, 4, size, size, 3).swapaxes(1, 2)
    return rows.reshape(2 * size, 4 * size, 3)

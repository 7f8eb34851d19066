"""The matches between four neighboring views that every matcher returns and every search reads."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .. import camera

VIEW_PAIRS = tuple(combinations(range(len(camera.NEIGHBORS)), 2))
"""The six pairs of the four neighboring views, as indices into ``camera.NEIGHBORS``."""
IMAGE_WIDTH = 256
"""Matches are in pixels of an image this wide, whatever the size of the images that were matched."""

Matches = dict[tuple[int, int], np.ndarray]
"""For each of ``VIEW_PAIRS`` an array (M, 5) of rows (x, y, x', y', confidence 0..1), in pixels of ``IMAGE_WIDTH``."""


def neighbor_cameras(polar: float) -> np.ndarray:
    """Camera-to-world matrices (4, 4, 4) float64 of the neighbors of a view at ``polar`` degrees and azimuth 0."""
    polar_change, azimuth_change = np.transpose(camera.NEIGHBORS)
    return camera.camera_to_world(polar + polar_change, azimuth_change).astype(np.float64)


def world_to_camera(camera_to_world: np.ndarray) -> np.ndarray:
    """Camera-to-world (4, 4) with OpenGL axes -> world-to-camera (3, 4) with OpenCV axes (y down, z forward)."""
    rotation = (camera_to_world[:3, :3] * (1, -1, -1)).T
    return np.hstack([rotation, -rotation @ camera_to_world[:3, 3:]])

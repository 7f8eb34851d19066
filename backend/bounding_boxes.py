"""Bounding boxes of groups of triangles."""

from __future__ import annotations

import numpy as np


def bounding_boxes(triangles: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest corner and size of every group, both (number of groups, D), of triangles (F, 3, D); ``groups``
    (F,) int."""
    shape = groups.max() + 1, triangles.shape[-1]
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.minimum.at(low, groups, triangles.min(1))
    np.maximum.at(high, groups, triangles.max(1))
    return low, high - low

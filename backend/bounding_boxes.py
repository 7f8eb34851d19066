"""Bounding boxes of groups of triangles."""

from __future__ import annotations

from functools import reduce

import numpy as np


def bounding_boxes(triangles: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest corner and size of every group, both (number of groups, D), of triangles (F, 3, D); ``groups``
    (F,) int."""
    shape = groups.max() + 1, triangles.shape[-1]
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    corners = triangles.swapaxes(0, 1)  # NumPy reduces an axis of three many times slower than it compares whole arrays
    lowest, highest = reduce(np.minimum, corners), reduce(np.maximum, corners)
    for axis in range(shape[1]):  # ``ufunc.at`` is many times faster on one dimension of one type
        np.minimum.at(low[:, axis], groups, lowest[:, axis].astype(np.float64))
        np.maximum.at(high[:, axis], groups, highest[:, axis].astype(np.float64))
    return low, high - low

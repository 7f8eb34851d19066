"""Images of an object, made by formulas."""

from __future__ import annotations

import numpy as np


def shaded_disc(height: int = 128, width: int = 128) -> np.ndarray:
    """A shaded disc with a notch, on transparency: (height, width, 4) uint8.

    A whole disc would be taken for an avatar, in which a network searches for the object: that takes a second.
    """
    rows, columns = (2 * grid / size - 1 for grid, size in zip(np.mgrid[:height, :width], (height, width), strict=True))
    inside = (np.hypot(rows, columns) < 0.8) & ~((rows < -0.4) & (np.abs(columns) < 0.2))
    return np.stack([127 * rows + 127, 127 * columns + 127, 63 * rows + 63, inside * 255], -1).astype(np.uint8)

"""Bars and frames around a picture, which are no part of it: letterboxes, screenshots' borders, passe-partouts."""

from __future__ import annotations

import numpy as np

LINES = 32
"""Lines compared at once."""
TOLERANCE = 14 / 255
"""Difference from a bar's color that is compression or noise."""
PURE = 0.995
"""Share of a line's pixels that have the bar's color."""
EDGE = 0.9
"""Share of the first line behind a bar that has to differ from it: a picture ends there, not just an object."""
MAX_BAR = 0.45
"""Largest bar on one side, as a share of the image."""
MAX_FRAME = 0.2
"""Largest width of a frame, that is of bars on all four sides: an object fills what is wider, on a plain background."""
MIN_INSIDE = 0.1
"""Smallest width or height of the picture between bars, as a share of the image."""


def picture_inside(color: np.ndarray) -> tuple[slice, slice]:
    """Image (H, W, 3) float32 0..1 -> rows and columns of the picture without the bars or the frame around it."""
    height, width = color.shape[:2]
    top, bottom = _bar(color), _bar(color[::-1])
    inside = color[top : height - bottom] if top + bottom < height else color
    left, right = _bar(inside.swapaxes(0, 1)), _bar(inside[:, ::-1].swapaxes(0, 1))
    limit = MAX_FRAME if (top or bottom) and (left or right) else MAX_BAR
    bars = [
        bar if bar <= limit * side else 0
        for bar, side in ((top, height), (bottom, height), (left, width), (right, width))
    ]
    rows, columns = slice(bars[0], height - bars[1]), slice(bars[2], width - bars[3])
    too_small = rows.stop - rows.start < MIN_INSIDE * height or columns.stop - columns.start < MIN_INSIDE * width
    if too_small or not _is_picture(color, rows, columns, bars):
        return slice(0, height), slice(0, width)
    return rows, columns


def _bar(color: np.ndarray) -> int:
    """The number of lines at the top of (H, W, 3) that have one and the same color."""
    shade = np.median(color[0], axis=0)
    for first in range(0, len(color), LINES):  # most photographs have no bar, so that the first lines are enough
        pure = (np.abs(color[first : first + LINES] - shade).max(-1) <= TOLERANCE).mean(1) >= PURE
        if not pure.all():
            return first + int(np.argmin(pure))
    return 0


def _is_picture(color: np.ndarray, rows: slice, columns: slice, bars: list[int]) -> bool:
    """Whether the rectangle differs from each of the ``bars`` (top, bottom, left, right) along the whole edge.

    An anti-aliased edge may be a line wide: the line behind it counts as well.
    """
    inside = color[rows, columns]
    lines = (inside[:3], inside[-3:], inside[:, :3].swapaxes(0, 1), inside[:, -3:].swapaxes(0, 1))
    shades = (color[0, columns], color[-1, columns], color[rows, 0], color[rows, -1])
    for bar, line, shade in zip(bars, lines, shades, strict=True):
        different = np.abs(line - np.median(shade, axis=0)).max(-1) > TOLERANCE
        if bar and different.any(0).mean() < EDGE:
            return False
    return True

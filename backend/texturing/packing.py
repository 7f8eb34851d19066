"""Pack flat charts into a square: each is dropped onto the skyline of those before it (Levy et al. 2002, LSCM)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from ..bounding_boxes import bounding_boxes
from .rasterization import expand_ranges

CELLS = 1024
"""Side of the square in packing cells."""
GUTTER = 8
"""Cells left empty between charts."""
SHRINK_FACTOR = 0.96
"""Applied to the scale until the charts fit."""


def pack(flat: np.ndarray, charts: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Arrange charts without overlap, all at one scale, as large as possible.

    flat: corners (F, 3, 2) of every face in its chart's plane; charts (F,) int; borders: sides of the faces that are a
    chart's outline (F, 3) bool, side k from corner k to the next. Returns corners (F, 3, 2) in 0..1.
    """
    low, size = bounding_boxes(flat, charts)
    flat = flat - low[charts][:, None]
    count = len(size)
    width, height = size.T
    gutter = GUTTER
    while 3 * count * (gutter + 1) ** 2 > CELLS**2:  # thousands of tiny charts: the gutters alone would fill the square
        gutter //= 2
    # the scale at which the bounding boxes with their gutters would fill the square
    a, b, c = (width * height).sum(), gutter * (width + height).sum(), count * gutter**2 - CELLS**2
    scale = min((np.sqrt(b * b - 4 * a * c) - b) / (2 * a), (CELLS - gutter) / height.max())
    order = np.argsort(-height, kind="stable")
    face, side = np.nonzero(borders)
    outlines, outlined = np.stack([flat[face, side], flat[face, (side + 1) % 3]], 1), charts[face]
    while (offsets := _drop(*_profiles(outlines * scale, outlined, count), order, gutter)) is None:
        scale *= SHRINK_FACTOR
    return (flat * scale + offsets[charts][:, None]) / CELLS


def _profiles(outlines: np.ndarray, charts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest point of every chart in every column of cells, and the index of each chart's first column.

    outlines: ends (E, 2, 2) of the edges around the charts (E,).
    """
    swap = outlines[:, :1, :1] > outlines[:, 1:, :1]
    left, right = np.where(swap, outlines[:, ::-1], outlines).swapaxes(0, 1)
    first, last = (np.floor(ends[:, 0]).astype(np.int64) for ends in (left, right))
    widths = np.zeros(count, np.int64)
    np.maximum.at(widths, charts, last + 1)
    starts = np.r_[0, np.cumsum(widths)]
    low, high = np.full(starts[-1], np.inf), np.full(starts[-1], -np.inf)
    edge, column = expand_ranges(first, last + 1)
    left, right = left[edge], right[edge]
    run = np.maximum(right[:, 0] - left[:, 0], 1e-9)
    slot = starts[charts[edge]] + column
    for border in (column, column + 1):
        fraction = np.clip((border - left[:, 0]) / run, 0, 1)
        y = left[:, 1] + fraction * (right[:, 1] - left[:, 1])
        np.minimum.at(low, slot, y)
        np.maximum.at(high, slot, y)
    return np.floor(low), np.ceil(high), starts


def _drop(low: np.ndarray, high: np.ndarray, starts: np.ndarray, order: np.ndarray, gutter: int) -> np.ndarray | None:
    """Each chart's offset in cells (count, 2), or None if the charts do not all fit."""
    half = (gutter + 1) // 2
    skyline = np.zeros(CELLS)
    offsets = np.empty((len(order), 2))
    for chart in order:
        columns = slice(starts[chart], starts[chart + 1])
        bottom = np.pad(low[columns], half, constant_values=np.inf)
        top = np.pad(high[columns], half, constant_values=-np.inf)
        bottom, top = minimum_filter1d(bottom, 2 * half + 1) - half, maximum_filter1d(top, 2 * half + 1) + half
        if len(bottom) > CELLS:
            return None
        lowest = (sliding_window_view(skyline, len(bottom)) - bottom).max(1)
        x = lowest.argmin()
        top += lowest[x]
        if top.max() > CELLS:
            return None
        skyline[x : x + len(top)] = np.maximum(skyline[x : x + len(top)], top)
        offsets[chart] = x + half, lowest[x]
    return offsets

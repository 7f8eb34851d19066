"""A vectorized scan-line rasterizer: the samples of a regular grid that triangles cover."""

from __future__ import annotations

import numpy as np


def covered_samples(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (F, 3, 2) in grid units -> face, column and row, each (P,) int, of every covered sample.

    Sample (i, j) is at (i + 0.5, j + 0.5). Triangles that share an edge with identical coordinates never share a sample
    and leave no gap.
    """
    span_face, span_row, left, right = covered_spans(triangles)
    span, column = expand_ranges(left, right)
    return span_face[span], column, span_row[span]


def covered_spans(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The covered samples as rows of them: face, row, first column and the column after the last, each (S,) int."""
    order = np.argsort(triangles[..., 1], 1, kind="stable")
    corners = np.take_along_axis(triangles, order[..., None], 1)  # from the lowest to the highest
    low, high = (np.ceil(corners[:, k, 1] - 0.5).astype(np.int64) for k in (0, 2))
    span_face, span_row = expand_ranges(low, high)
    y = span_row + 0.5
    # Edges run upwards, so that both triangles of an edge compute the same crossing. Every row crosses the one from the
    # lowest to the highest corner, and one of the other two.
    starts, ends = corners[:, [0, 0, 1]], corners[:, [2, 1, 2]]
    with np.errstate(divide="ignore", invalid="ignore"):  # no row crosses an edge that is level
        slopes = ((ends[..., 0] - starts[..., 0]) / (ends[..., 1] - starts[..., 1])).ravel()
    start_x, start_y = starts[..., 0].ravel(), starts[..., 1].ravel()
    longest = 3 * span_face
    other = longest + 1 + (y >= start_y[longest + 2])
    first_side, second_side = (start_x[edge] + (y - start_y[edge]) * slopes[edge] for edge in (longest, other))
    left, right = np.minimum(first_side, second_side), np.maximum(first_side, second_side)
    hit = left < right
    left, right = (np.ceil(side[hit] - 0.5).astype(np.int64) for side in (left, right))
    return span_face[hit], span_row[hit], left, right


def barycentric(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric coordinates (P, 3) of points (P, 2) in triangles (P, 3, 2); finite for triangles without area."""
    a, b, c = np.moveaxis(triangles, 1, 0)
    ab, ac, ap = b - a, c - a, points - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    v = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
    weights = np.clip(np.stack([1 - v - w, v, w], -1), 0, 1)
    return weights / weights.sum(1, keepdims=True)


def expand_ranges(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every integer of the ranges low (N,) .. high (N,) (exclusive), with the range's index: two arrays (P,) int."""
    counts = np.maximum(high - low, 0)
    index = np.repeat(np.arange(len(low)), counts)
    start = np.cumsum(counts) - counts
    return index, np.arange(len(index)) + np.repeat(low - start, counts)

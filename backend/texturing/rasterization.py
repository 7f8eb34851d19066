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
    low = np.ceil(triangles[..., 1].min(1) - 0.5).astype(np.int64)
    high = np.ceil(triangles[..., 1].max(1) - 0.5).astype(np.int64)
    span_face, span_row = expand_ranges(low, high)
    y = span_row + 0.5
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for k in range(3):
        # edges always run upwards, so that both triangles of an edge compute the same crossing
        first, second = triangles[:, k], triangles[:, (k + 1) % 3]
        swap = (first[:, 1] > second[:, 1])[:, None]
        start, end = (np.where(swap, second, first)[span_face], np.where(swap, first, second)[span_face])
        crossed = (start[:, 1] <= y) & (y < end[:, 1])
        rise = np.where(crossed, end[:, 1] - start[:, 1], 1)
        x = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / rise
        left = np.where(crossed, np.minimum(left, x), left)
        right = np.where(crossed, np.maximum(right, x), right)
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

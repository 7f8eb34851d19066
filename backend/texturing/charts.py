"""Segment a mesh into charts: connected faces with similar normals, flattened by orthogonal projection."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..bounding_boxes import bounding_boxes
from ..data_types import Mesh
from . import rasterization

AXES = np.concatenate([np.eye(3), -np.eye(3)])
"""The six projection directions."""
NEIGHBOR_BONUS = 0.35
"""Added to the cosine between a face's normal and a direction if all three neighbors have that direction."""
NORMAL_SMOOTHING = 4
"""Iterations in which a face's normal is averaged with its neighbors' before a direction is chosen."""
SMALL_CHART = 0.003
"""Charts with less than this share of the surface area are merged into a neighbor."""
MIN_COSINE = 0.3
"""A face may be projected along a direction if its normal's cosine with it is at least this."""


def compute_charts(mesh: Mesh, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charts of a closed mesh: connected faces with similar normals, flattened without flipping any face.

    sides: the mesh's ``opposite_sides``. Returns the chart index (F,), the corners of every face in its chart's plane
    (F, 3, 2) in world units, and its altitude above that plane (F,). Charts may still overlap themselves: see
    ``overlapping_faces`` and ``split_charts``.
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(areas, 1e-30)[:, None]
    pairs = sides // 3
    labels = _choose_directions(normals, areas, pairs)
    charts = _connected_components(labels, pairs)
    return charts, *_project(corners, normals, areas, labels, charts)


def overlapping_faces(flat: np.ndarray, charts: np.ndarray, altitude: np.ndarray) -> np.ndarray:
    """Faces (F,) bool that share a sample of the grid with a face of higher altitude in their own chart.

    flat: corners (F, 3, 2) in grid units; charts (F,) int; altitude (F,).
    """
    upwards = np.argsort(altitude, kind="stable")
    span_rank, row, left, right = rasterization.covered_spans(flat[upwards])
    low, size = bounding_boxes(flat, charts)
    low, size = np.floor(low).astype(np.int64), np.ceil(size).astype(np.int64) + 1
    starts = np.cumsum(size.prod(1)) - size.prod(1)
    chart = charts[upwards[span_rank]]
    first = starts[chart] + (row - low[chart, 1]) * size[chart, 0] - low[chart, 0]
    span, sample = rasterization.expand_ranges(first + left, first + right)
    rank = span_rank[span]
    top = np.empty(size.prod(1).sum(), np.int32)
    top[sample] = rank  # the last assignment wins: the highest face
    overlapping = np.zeros(len(flat), bool)
    overlapping[upwards[rank[top[sample] != rank]]] = True
    return overlapping


def split_charts(charts: np.ndarray, split: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """New chart indices (F,): within each chart (F,), the faces in ``split`` (F,) bool are separated from the rest."""
    return _connected_components(2 * charts + split, sides // 3)


def chart_borders(charts: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Which sides of the faces of a closed mesh border another one of the ``charts`` (F,): (F, 3) bool."""
    on_border = np.zeros(3 * len(charts), bool)
    on_border[sides[charts[sides[:, 0] // 3] != charts[sides[:, 1] // 3]]] = True
    return on_border.reshape(-1, 3)


def opposite_sides(faces: np.ndarray) -> np.ndarray:
    """The pairs (3 F / 2, 2) of sides that are one edge of a closed mesh (F, 3). Side k of face f, from its corner k to
    the next, is 3 f + k."""
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    return np.argsort(np.minimum(start, end) << 32 | np.maximum(start, end)).reshape(-1, 2)


def _choose_directions(normals: np.ndarray, areas: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """For every face, the index (F,) into ``AXES`` that fits its normal best and its neighbors' choices."""
    count = len(normals)
    a, b = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    adjacency = coo_array((np.ones(len(a)), (a, b)), (count, count)).tocsr()
    allowed = normals @ AXES.T >= MIN_COSINE
    mean = normals * areas[:, None]
    for _ in range(NORMAL_SMOOTHING):
        mean = mean + adjacency @ mean
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
    cosines = np.where(allowed, mean @ AXES.T, -np.inf)
    labels = cosines.argmax(1)
    for _ in range(12):
        votes = np.bincount(a * 6 + labels[b], minlength=count * 6).reshape(count, 6)
        # a face without area allows no direction and takes its neighbors'
        labels = np.where(allowed.any(1), (cosines + NEIGHBOR_BONUS / 3 * votes).argmax(1), votes.argmax(1))
    for _ in range(3):
        labels = _merge_small_charts(labels, normals, areas, pairs)
    return labels


def _merge_small_charts(labels: np.ndarray, normals: np.ndarray, areas: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Give small charts the direction of the neighbors with which they share most edges, if that flips no face."""
    charts = _connected_components(labels, pairs)
    count = charts.max() + 1
    small = np.bincount(charts, areas) < SMALL_CHART * areas.sum()
    lowest = np.full((count, 6), np.inf)
    np.minimum.at(lowest, charts, np.where(areas[:, None] > 0, normals @ AXES.T, 1))
    a, b = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    border = charts[a] != charts[b]
    shared = np.bincount(charts[a[border]] * 6 + labels[b[border]], minlength=count * 6).reshape(count, 6)
    shared[lowest < MIN_COSINE] = 0
    merged = small & (shared.max(1) > 0)
    return np.where(merged[charts], shared.argmax(1)[charts], labels)


def _connected_components(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The index (F,) of each face's component of connected faces with the same label."""
    a, b = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]].T
    return connected_components(coo_array((np.ones(len(a)), (a, b)), (len(labels),) * 2), directed=False)[1]


def _project(
    corners: np.ndarray, normals: np.ndarray, areas: np.ndarray, labels: np.ndarray, charts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Project every chart along its mean normal, or along its axis where that would flip a face.

    Returns corners (F, 3, 2), rotated so that a chart's bounding box is small and upright, and altitudes (F,).
    """
    count = charts.max() + 1
    mean = np.stack([np.bincount(charts, normals[:, k] * areas, count) for k in range(3)], -1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, charts, np.einsum("fd,fd->f", normals, mean[charts]))
    axis = np.empty((count, 3))
    axis[charts] = AXES[labels]
    direction = np.where((lowest >= MIN_COSINE)[:, None], mean, axis)
    helper = np.where(np.abs(direction[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(direction, right)
    flat = np.stack([np.einsum("fcd,fd->fc", corners, base[charts]) for base in (right, up)], -1)
    altitude = np.einsum("fcd,fd->f", corners, direction[charts])

    rotations = np.stack([_rotation(angle) for angle in np.radians(np.arange(0, 90, 15))])
    sizes = np.stack([bounding_boxes(flat @ rotation.T, charts)[1] for rotation in rotations])
    best = sizes.prod(-1).argmin(0)
    is_wide = sizes[best, np.arange(count), 0] > sizes[best, np.arange(count), 1]
    rotations = np.where(is_wide[:, None, None], _rotation(np.pi / 2), np.eye(2)) @ rotations[best]
    return np.einsum("fij,fcj->fci", rotations[charts], flat), altitude


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

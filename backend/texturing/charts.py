"""Cut a mesh into charts: connected faces that look the same way, flattened by projection."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..types import Mesh
from . import rasterization

AXES = np.concatenate([np.eye(3), -np.eye(3)])
SAME_AS_NEIGHBORS = 0.35
"""How much a face would turn (in cosine) to carry the direction of all three neighbors."""
SMOOTHED = 4
"""Rounds over which a face's normal is averaged with its neighbors' before it chooses a direction."""
SMALL = 0.003
"""Charts under this share of the surface join a neighbor."""
SHALLOWEST = 0.3
"""A face may be projected in a direction when its normal's cosine with it is at least this."""


def cut(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Charts of a closed mesh: connected faces that look the same way, flattened without turning any face over.

    Returns the chart number (F,), the corners of every face in its chart's plane (F, 3, 2) in world units, and its
    height over that plane (F,). Charts may still cover themselves: see ``hidden`` and ``part``.
    """
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(areas, 1e-30)[:, None]
    pairs = neighbors(mesh.faces)
    labels = _labels(normals, areas, pairs)
    charts = _connected(labels, pairs)
    return charts, *_project(corners, normals, areas, labels, charts)


def hidden(flat: np.ndarray, charts: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Faces (F,) bool that share a sample of the grid with a higher face of their own chart.

    flat: corners (F, 3, 2) in grid units; charts (F,); height (F,).
    """
    upwards = np.argsort(height, kind="stable")
    rank, column, row = rasterization.cover(flat[upwards])
    face = upwards[rank]
    low, size = box(flat, charts)
    low, size = np.floor(low).astype(np.int64), np.ceil(size).astype(np.int64) + 1
    starts = np.cumsum(size.prod(1)) - size.prod(1)
    chart = charts[face]
    place = starts[chart] + (row - low[chart, 1]) * size[chart, 0] + column - low[chart, 0]
    top = np.empty(size.prod(1).sum(), np.int64)
    top[place] = face  # of several, the last one stays: the highest
    covered = np.zeros(len(flat), bool)
    covered[face[top[place] != face]] = True
    return covered


def part(charts: np.ndarray, apart: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Make charts (F,) of their own out of the faces ``apart`` (F,) bool."""
    return _connected(2 * charts + apart, neighbors(faces))


def neighbors(faces: np.ndarray) -> np.ndarray:
    """Faces (F, 3) of a closed mesh -> (3 F / 2, 2) pairs that share an edge."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], -1).reshape(-1, 2).astype(np.int64)
    order = np.argsort(ends.min(1) << 32 | ends.max(1))
    return (order // 3).reshape(-1, 2)


def _labels(normals: np.ndarray, areas: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """One of six directions for every face: its own, drawn towards its neighbors'."""
    count = len(normals)
    a, b = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    beside = coo_array((np.ones(len(a)), (a, b)), (count, count)).tocsr()
    allowed = normals @ AXES.T >= SHALLOWEST
    mean = normals * areas[:, None]
    for _ in range(SMOOTHED):
        mean = mean + beside @ mean
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
    cosines = np.where(allowed, mean @ AXES.T, -np.inf)
    labels = cosines.argmax(1)
    for _ in range(12):
        votes = np.bincount(a * 6 + labels[b], minlength=count * 6).reshape(count, 6)
        # a vanishing face allows nothing and takes its neighbors' label
        labels = np.where(allowed.any(1), (cosines + SAME_AS_NEIGHBORS / 3 * votes).argmax(1), votes.argmax(1))
    for _ in range(3):
        labels = _absorbed(labels, normals, areas, pairs)
    return labels


def _absorbed(labels: np.ndarray, normals: np.ndarray, areas: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Give small charts the direction of the neighbors they share most edges with, if that turns no face over."""
    charts = _connected(labels, pairs)
    count = charts.max() + 1
    small = np.bincount(charts, areas) < SMALL * areas.sum()
    lowest = np.full((count, 6), np.inf)
    np.minimum.at(lowest, charts, np.where(areas[:, None] > 0, normals @ AXES.T, 1))
    a, b = np.r_[pairs[:, 0], pairs[:, 1]], np.r_[pairs[:, 1], pairs[:, 0]]
    border = charts[a] != charts[b]
    shared = np.bincount(charts[a[border]] * 6 + labels[b[border]], minlength=count * 6).reshape(count, 6)
    shared[lowest < SHALLOWEST] = 0
    # only a chart smaller than its neighbors moves, or two would swap for ever
    taken = small & (shared.max(1) > 0)
    return np.where(taken[charts], shared.argmax(1)[charts], labels)


def _connected(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Number the connected groups of faces with one label."""
    a, b = pairs[labels[pairs[:, 0]] == labels[pairs[:, 1]]].T
    return connected_components(coo_array((np.ones(len(a)), (a, b)), (len(labels),) * 2), directed=False)[1]


def _project(corners, normals, areas, axes, charts) -> tuple[np.ndarray, np.ndarray]:
    """Flatten every chart along its mean normal, or along its axis where that would turn a face over.

    Returns corners (F, 3, 2), turned so that a chart's bounding box is small and upright, and face heights (F,).
    """
    count = charts.max() + 1
    mean = np.stack([np.bincount(charts, normals[:, k] * areas, count) for k in range(3)], -1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-30)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, charts, np.einsum("fd,fd->f", normals, mean[charts]))
    axis = np.empty((count, 3))
    axis[charts] = AXES[axes]
    direction = np.where((lowest >= SHALLOWEST)[:, None], mean, axis)
    helper = np.where(np.abs(direction[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(direction, right)
    flat = np.stack([np.einsum("fcd,fd->fc", corners, base[charts]) for base in (right, up)], -1)
    height = np.einsum("fcd,fd->f", corners, direction[charts])

    turns = np.stack([_turn(angle) for angle in np.radians(np.arange(0, 90, 15))])
    boxes = np.stack([box(flat @ turn.T, charts)[1] for turn in turns])
    best = boxes.prod(-1).argmin(0)
    lying = boxes[best, np.arange(count), 0] > boxes[best, np.arange(count), 1]
    turns = np.where(lying[:, None, None], _turn(np.pi / 2), np.eye(2)) @ turns[best]
    return np.einsum("fij,fcj->fci", turns[charts], flat), height


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def box(flat: np.ndarray, charts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower left corner and size of every chart, both (charts, 2)."""
    low, high = np.full((charts.max() + 1, 2), np.inf), np.full((charts.max() + 1, 2), -np.inf)
    np.minimum.at(low, charts, flat.min(1))
    np.maximum.at(high, charts, flat.max(1))
    return low, high - low

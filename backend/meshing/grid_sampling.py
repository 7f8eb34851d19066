"""Sample a field's distance on a grid, at full resolution only where the surface runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..progress import OnProgress, ignore_progress
from ..types import Field

STRIDE = 4
"""Fine cells along the side of a coarse cell."""
MARGIN = 1.2
"""How much longer than half its diagonal a coarse cell's smallest distance may be for the cell to be refined."""
BLOCK = 1 << 17
"""Points asked of the field at once."""

Placement = Callable[[np.ndarray], np.ndarray]
"""Where points (P, 3) of a network's own cube [-1, 1]^3 lie in the world: (P, 3) float32."""


def cube(field: Field) -> Placement:
    """The placement of a network whose own cube is the field's."""
    return lambda points: (points * field.half_side).astype(np.float32)


def sample(field: Field, resolution: int, on_progress: OnProgress = ignore_progress) -> np.ndarray:
    """Distances on a regular grid over the field's cube: (R + 1, R + 1, R + 1) float32, indexed [x, y, z].

    resolution: cells along a side; R is that, rounded up to a multiple of 4. The outermost layer is made positive, so
    that the surface always closes.

    Coarse cells are refined when a true distance as small as theirs could still hide a surface; then the surface is
    followed into every neighbor that it enters, because a learned distance need not be true.

    on_progress: called after every block of points; the fraction is of the points known to be needed so far.
    """
    side = -(-resolution // STRIDE) * STRIDE
    values = np.full((side + 1,) * 3, np.nan, np.float32)
    wanted = np.zeros(values.shape, bool)
    wanted[::STRIDE, ::STRIDE, ::STRIDE] = True
    query = partial(_query, field, cube(field), values, on_progress)
    done = query(wanted, 0)

    corners = values[::STRIDE, ::STRIDE, ::STRIDE].copy()
    reach = MARGIN * np.sqrt(3) / 2 * STRIDE * 2 * field.half_side / side
    near = (_cells(np.abs(corners), np.minimum, 1) < reach) | _crossed(corners, 1)
    # a point that is never asked for lies in a cell whose corners agree: its lower corner speaks for it
    stand_in = corners.repeat(STRIDE, 0).repeat(STRIDE, 1).repeat(STRIDE, 2)[: side + 1, : side + 1, : side + 1]
    refined = np.zeros_like(near)
    while near.any():
        refined |= near
        done = query(_points(near) & np.isnan(values), done)
        near = _crossed(np.where(np.isnan(values), stand_in, values), STRIDE) & ~refined
    values = np.where(np.isnan(values), stand_in, values)
    _close(values, field.half_side / side)
    return values


def dense(field: Field, resolution: int, place: Placement, on_progress: OnProgress = ignore_progress) -> np.ndarray:
    """Distances at every point of a regular grid over a network's own cube, ``place`` in the world, as in ``sample``.

    There are exactly ``resolution`` cells along a side. What lies outside the field's cube is made positive.
    """
    values = np.empty((resolution + 1,) * 3, np.float32)
    _query(field, place, values, on_progress, np.ones(values.shape, bool), 0)
    _close(values, field.half_side / resolution)
    return values


def _close(values: np.ndarray, least: float) -> None:
    """Make the outermost layer positive."""
    for axis in range(3):
        outermost = np.moveaxis(values, axis, 0)[:: len(values) - 1]
        np.maximum(outermost, least, out=outermost)


def _query(
    field: Field, place: Placement, values: np.ndarray, on_progress: OnProgress, wanted: np.ndarray, done: int
) -> int:
    """Fill ``values`` where ``wanted``; returns the number of points done so far."""
    side = len(values) - 1
    flat = np.flatnonzero(wanted)
    total = done + len(flat)
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        steps = np.stack(np.unravel_index(block, values.shape), -1)
        points = place(steps * (2 / side) - 1)
        beyond = np.abs(points).max(1) - np.float32(field.half_side * (1 + 1e-6))
        values.reshape(-1)[block] = np.where(beyond > 0, beyond, field.distance(points))
        done += len(block)
        on_progress(done / total)
    return done


def _cells(values: np.ndarray, reduce: np.ufunc, stride: int) -> np.ndarray:
    """Reduce the closed cells of ``stride`` steps: (n * stride + 1,) * 3 -> (n, n, n)."""
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        inner = reduce.reduce(lines[:-1].reshape(-1, stride, *lines.shape[1:]), axis=1)
        values = np.moveaxis(reduce(inner, lines[stride::stride]), 0, axis)
    return values


def _crossed(values: np.ndarray, stride: int) -> np.ndarray:
    """Cells with both signs among their points."""
    inside = values < 0
    return _cells(inside, np.logical_or, stride) & ~_cells(inside, np.logical_and, stride)


def _points(cells: np.ndarray) -> np.ndarray:
    """The fine points of the closed coarse cells: (n, n, n) bool -> (n * STRIDE + 1,) * 3 bool."""
    for axis in range(3):
        lines = np.moveaxis(cells, axis, 0).repeat(STRIDE, 0)
        points = np.zeros((len(lines) + 1, *lines.shape[1:]), bool)
        points[:-1] = lines
        points[1:] |= lines
        cells = np.moveaxis(points, 0, axis)
    return cells

"""Evaluate a field's distance on a grid, at full resolution only near the surface, which an octree finds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import numpy as np

from ..data_types import Field
from ..progress import OnProgress, ignore_progress

COARSEST = 8
"""Cells of the grid along a side of the cells that are looked at first; a power of two."""
MARGIN = 1.2
"""A cell is divided if its smallest absolute distance is below this multiple of half its diagonal."""
BLOCK_SIZE = 1 << 17
"""Points evaluated at once."""

GridToWorld = Callable[[np.ndarray], np.ndarray]
"""Points (P, 3) of a grid's cube [-1, 1]^3 -> world points (P, 3) float32."""


def field_cube(field: Field) -> GridToWorld:
    """The grid that fills the field's own cube."""
    return lambda points: (points * field.half_side).astype(np.float32)


def sample_coarse_to_fine(field: Field, resolution: int, on_progress: OnProgress = ignore_progress) -> np.ndarray:
    """Distances on a regular grid over the field's cube: (R + 1, R + 1, R + 1) float32, indexed [x, y, z].

    resolution: cells along a side; R is that, rounded up to a multiple of 8. The outermost layer is made positive, so
    that the surface always closes.

    A cell is divided into eight if a true distance as small as its corners' allows a surface inside, down to the grid's
    own cells. From there, division continues into every neighbor that the surface enters, because a learned distance
    need not be a true one.

    on_progress: called after every block of points with the fraction of the points known to be needed so far.
    """
    side = -(-resolution // COARSEST)
    values = np.empty((side + 1,) * 3, np.float32)
    evaluate = partial(_evaluate, field, field_cube(field), on_progress)
    done = evaluate(values, np.ones(values.shape, bool), 0)
    for _ in range(int(np.log2(COARSEST))):
        reach = MARGIN * np.sqrt(3) / 2 * 2 * field.half_side / side
        to_divide = (_reduce_cells(np.abs(values), np.minimum, 1) < reach) | _has_sign_change(values, 1)
        side *= 2
        # a point that is never evaluated lies in a cell whose corners have one sign: the lower corner's value fills it
        filled = values.repeat(2, 0).repeat(2, 1).repeat(2, 2)
        values = np.ascontiguousarray(filled[: side + 1, : side + 1, : side + 1])
        known, divided = np.zeros(values.shape, bool), np.zeros_like(to_divide)
        known[::2, ::2, ::2] = True
        while to_divide.any():
            divided |= to_divide
            missing = _points_of_cells(to_divide) & ~known
            done = evaluate(values, missing, done)
            known |= missing
            to_divide = _entered_beside(divided, values)
    _make_border_positive(values, field.half_side / side)
    return values


def sample_reference_grid(
    field: Field, resolution: int, grid_to_world: GridToWorld, on_progress: OnProgress = ignore_progress
) -> np.ndarray:
    """Distances at every point of a regular grid: (resolution + 1,) * 3 float32, indexed [x, y, z].

    The outermost layer and everything outside the field's cube are made positive.
    """
    values = np.empty((resolution + 1,) * 3, np.float32)
    _evaluate(field, grid_to_world, on_progress, values, np.ones(values.shape, bool), 0)
    _make_border_positive(values, field.half_side / resolution)
    return values


def extent(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest indices (3,) of a set of grid points (X, Y, Z) bool, and those after the highest."""
    inside = [np.flatnonzero(points.any(axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return np.array([each[0] for each in inside]), np.array([each[-1] + 1 for each in inside])


def box(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    """The index of the grid points from ``low`` (3,) up to but not including ``high`` (3,)."""
    return tuple(slice(*bounds) for bounds in zip(low, high, strict=True))


def _make_border_positive(values: np.ndarray, least: float) -> None:
    """Raise the outermost layer to at least ``least``, in place."""
    for axis in range(3):
        outermost = np.moveaxis(values, axis, 0)[:: len(values) - 1]
        np.maximum(outermost, least, out=outermost)


def _evaluate(
    field: Field,
    grid_to_world: GridToWorld,
    on_progress: OnProgress,
    values: np.ndarray,
    missing: np.ndarray,
    done: int,
) -> int:
    """Write the field's distances into ``values`` where ``missing``; returns the number of points done so far."""
    side = len(values) - 1
    flat = np.flatnonzero(missing)
    total = done + len(flat)
    for start in range(0, len(flat), BLOCK_SIZE):
        block = flat[start : start + BLOCK_SIZE]
        steps = np.stack(np.unravel_index(block, values.shape), -1)
        points = grid_to_world(steps * (2 / side) - 1)
        farthest = reduce(np.maximum, np.abs(points.T))  # many times faster than to reduce an axis of three
        outside = farthest - np.float32(field.half_side * (1 + 1e-6))
        values.reshape(-1)[block] = np.where(outside > 0, outside, field.distance(points))
        done += len(block)
        on_progress(done / total)
    return done


def _reduce_cells(values: np.ndarray, combine: np.ufunc, stride: int) -> np.ndarray:
    """Reduce over the points of each closed cell of ``stride`` steps: (n * stride + 1,) * 3 -> (n, n, n)."""
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        inner = combine.reduce(lines[:-1].reshape(-1, stride, *lines.shape[1:]), axis=1)
        values = np.moveaxis(combine(inner, lines[stride::stride]), 0, axis)
    return values


def _has_sign_change(values: np.ndarray, stride: int) -> np.ndarray:
    """Cells with both signs among their points."""
    inside = values < 0
    return _reduce_cells(inside, np.logical_or, stride) & ~_reduce_cells(inside, np.logical_and, stride)


def _entered_beside(divided: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The cells (n, n, n) bool that are not ``divided`` (n, n, n) and into which the surface of values (2 n + 1,) * 3
    goes on from those that are. All others are as they were."""
    low, high = extent(divided)
    low = np.maximum(low - 1, 0)
    entered, beside = np.zeros_like(divided), box(low, high + 1)
    entered[beside] = _has_sign_change(values[box(2 * low, 2 * high + 3)], 2) & ~divided[beside]
    return entered


def _points_of_cells(cells: np.ndarray) -> np.ndarray:
    """The points of closed cells that are to be divided: (n, n, n) bool -> (2 n + 1,) * 3 bool."""
    for axis in range(3):
        lines = np.moveaxis(cells, axis, 0).repeat(2, 0)
        points = np.zeros((len(lines) + 1, *lines.shape[1:]), bool)
        points[:-1] = lines
        points[1:] |= lines
        cells = np.moveaxis(points, 0, axis)
    return cells

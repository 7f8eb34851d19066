"""Evaluate a field's distance on a grid, at full resolution only near the surface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..data_types import Field
from ..progress import OnProgress, ignore_progress

STRIDE = 4
"""Fine cells along a side of a coarse cell."""
MARGIN = 1.2
"""A coarse cell is refined if its smallest absolute distance is below this multiple of half its diagonal."""
BLOCK_SIZE = 1 << 17
"""Points evaluated at once."""

GridToWorld = Callable[[np.ndarray], np.ndarray]
"""Points (P, 3) of a grid's cube [-1, 1]^3 -> world points (P, 3) float32."""


def field_cube(field: Field) -> GridToWorld:
    """The grid that fills the field's own cube."""
    return lambda points: (points * field.half_side).astype(np.float32)


def sample_coarse_to_fine(field: Field, resolution: int, on_progress: OnProgress = ignore_progress) -> np.ndarray:
    """Distances on a regular grid over the field's cube: (R + 1, R + 1, R + 1) float32, indexed [x, y, z].

    resolution: cells along a side; R is that, rounded up to a multiple of 4. The outermost layer is made positive, so
    that the surface always closes.

    A coarse cell is refined if a true distance as small as its corners' allows a surface inside. From there, refinement
    continues into every neighbor that the surface enters, because a learned distance need not be a true one.

    on_progress: called after every block of points with the fraction of the points known to be needed so far.
    """
    side = -(-resolution // STRIDE) * STRIDE
    values = np.full((side + 1,) * 3, np.nan, np.float32)
    coarse = np.zeros(values.shape, bool)
    coarse[::STRIDE, ::STRIDE, ::STRIDE] = True
    evaluate = partial(_evaluate, field, field_cube(field), values, on_progress)
    done = evaluate(coarse, 0)

    corners = values[::STRIDE, ::STRIDE, ::STRIDE].copy()
    reach = MARGIN * np.sqrt(3) / 2 * STRIDE * 2 * field.half_side / side
    to_refine = (_reduce_cells(np.abs(corners), np.minimum, 1) < reach) | _has_sign_change(corners, 1)
    # a point that is never evaluated lies in a cell whose corners have one sign: the lower corner's value fills it
    fill = corners.repeat(STRIDE, 0).repeat(STRIDE, 1).repeat(STRIDE, 2)[: side + 1, : side + 1, : side + 1]
    refined = np.zeros_like(to_refine)
    while to_refine.any():
        refined |= to_refine
        done = evaluate(_points_of_cells(to_refine) & np.isnan(values), done)
        to_refine = _has_sign_change(np.where(np.isnan(values), fill, values), STRIDE) & ~refined
    values = np.where(np.isnan(values), fill, values)
    _make_border_positive(values, field.half_side / side)
    return values


def sample_reference_grid(
    field: Field, resolution: int, grid_to_world: GridToWorld, on_progress: OnProgress = ignore_progress
) -> np.ndarray:
    """Distances at every point of a regular grid: (resolution + 1,) * 3 float32, indexed [x, y, z].

    The outermost layer and everything outside the field's cube are made positive.
    """
    values = np.empty((resolution + 1,) * 3, np.float32)
    _evaluate(field, grid_to_world, values, on_progress, np.ones(values.shape, bool), 0)
    _make_border_positive(values, field.half_side / resolution)
    return values


def _make_border_positive(values: np.ndarray, least: float) -> None:
    """Raise the outermost layer to at least ``least``, in place."""
    for axis in range(3):
        outermost = np.moveaxis(values, axis, 0)[:: len(values) - 1]
        np.maximum(outermost, least, out=outermost)


def _evaluate(
    field: Field,
    grid_to_world: GridToWorld,
    values: np.ndarray,
    on_progress: OnProgress,
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
        outside = np.abs(points).max(1) - np.float32(field.half_side * (1 + 1e-6))
        values.reshape(-1)[block] = np.where(outside > 0, outside, field.distance(points))
        done += len(block)
        on_progress(done / total)
    return done


def _reduce_cells(values: np.ndarray, reduce: np.ufunc, stride: int) -> np.ndarray:
    """Reduce over the points of each closed cell of ``stride`` steps: (n * stride + 1,) * 3 -> (n, n, n)."""
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        inner = reduce.reduce(lines[:-1].reshape(-1, stride, *lines.shape[1:]), axis=1)
        values = np.moveaxis(reduce(inner, lines[stride::stride]), 0, axis)
    return values


def _has_sign_change(values: np.ndarray, stride: int) -> np.ndarray:
    """Cells with both signs among their points."""
    inside = values < 0
    return _reduce_cells(inside, np.logical_or, stride) & ~_reduce_cells(inside, np.logical_and, stride)


def _points_of_cells(cells: np.ndarray) -> np.ndarray:
    """The fine points of the closed coarse cells: (n, n, n) bool -> (n * STRIDE + 1,) * 3 bool."""
    for axis in range(3):
        lines = np.moveaxis(cells, axis, 0).repeat(STRIDE, 0)
        points = np.zeros((len(lines) + 1, *lines.shape[1:]), bool)
        points[:-1] = lines
        points[1:] |= lines
        cells = np.moveaxis(points, 0, axis)
    return cells

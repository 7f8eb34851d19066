"""Close narrow handles: tunnels that the object does not have, which a field may show where the surface is thin."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

from .grid_sampling import box, extent

MAX_WIDTH = 0.1
"""World units: the widest hole that is filled where handles are to be closed. A mug's is wider."""
PINHOLE = 0.02
"""The same where handles are to stay. Two pixels of a view are no detail, but a place where views disagree."""
_STEP = 1.5
"""Grid cells by which the width grows from one attempt to the next, so that a hole is filled as little as possible."""


def close_handles(values: np.ndarray, cell: float, max_width: float) -> np.ndarray:
    """Signed distances on a grid (X, Y, Z), negative inside -> the same with narrow handles filled.

    cell: side of a grid cell, and max_width of a hole (rounded up to a few cells), in world units. What a morphological
    closing would add is filled only where that takes away a handle (the Euler characteristic rises); everything else,
    such as the gap between two legs, stays.
    """
    values = values.copy()
    low, high = extent(values < 0)
    reach = int(max_width / cell) + 2
    low = np.maximum(low - reach, 1)  # the outermost layer stays positive, or the surface would be open
    high = np.minimum(high + reach, np.subtract(values.shape, 1))
    inner = values[box(low, high)]
    if not has_handles(inner < 0):
        return values
    for radius in np.arange(_STEP, max_width / 2 / cell + _STEP, _STEP):
        inside, reach = inner < 0, int(np.ceil(radius)) + 1
        outside = squared_distances_up_to(inside, reach) > radius**2
        squared_depth = squared_distances_up_to(outside, reach)
        labels = np.empty(inner.shape, np.int32)
        ndimage.label((squared_depth > radius**2) & ~inside, output=labels)
        fills = np.flatnonzero((euler_changes(inside, labels) > 0)[labels])
        depth = np.sqrt(squared_depth.flat[fills]) - radius  # inside the closing
        inner.flat[fills] = np.minimum(inner.flat[fills], -cell * depth)
    return values


def squared_distances_up_to(points: np.ndarray, reach: int) -> np.ndarray:
    """The square of the distance (X, Y, Z) int in grid cells from each grid point to the nearest of ``points``
    (X, Y, Z) bool; more than that of ``reach`` where that is farther away."""
    beyond = (reach + 1) ** 2
    squared = np.full(points.shape, beyond, np.min_scalar_type(beyond + reach**2))
    squared[points] = 0
    for axis in range(3):  # the least over one axis after the other (Felzenszwalb and Huttenlocher 2012), in a window
        lines = np.moveaxis(squared, axis, 0)
        least = lines.copy()
        for step in range(1, reach + 1):
            farther = lines + squared.dtype.type(step**2)
            np.minimum(least[step:], farther[:-step], out=least[step:])
            np.minimum(least[:-step], farther[step:], out=least[:-step])
        squared = np.moveaxis(least, 0, axis)
    return squared


def euler_changes(inside: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """By how much the Euler characteristic of a set of grid points (X, Y, Z) bool rises when one piece is added to it:
    for each label of ``labels`` (X, Y, Z) int32, 0 for none, (labels + 1,) int."""
    changes = np.zeros(int(labels.max()) + 1, int)
    labels = np.pad(labels, 1)  # so that every point has all neighbors
    filled = (np.pad(inside, 1) | (labels > 0)).ravel()
    steps = labels.shape[1] * labels.shape[2], labels.shape[2], 1
    labels = labels.ravel()
    of_pieces = np.flatnonzero(labels)
    for axes in itertools.product((0, 1), repeat=3):  # as in euler_characteristic, but only cells that pieces touch
        corners = [np.dot(corner, steps) for corner in itertools.product(*(range(extends + 1) for extends in axes))]
        touched = np.zeros(len(labels), bool)
        for corner in corners:
            touched[of_pieces - corner] = True
        cells = np.flatnonzero(touched)
        pieces = np.stack([labels[cells + corner] for corner in corners])
        highest, lowest = pieces.max(0), np.where(pieces > 0, pieces, len(changes)).min(0)
        counted = (highest == lowest) & np.logical_and.reduce([filled[cells + corner] for corner in corners])
        changes += (-1) ** sum(axes) * np.bincount(highest[counted], minlength=len(changes))
    return changes


def has_handles(inside: np.ndarray) -> bool:
    """Whether a set of grid points (X, Y, Z) bool, connected as in ``euler_characteristic``, has any."""
    outside = np.pad(~inside, 1, constant_values=True)
    labels, outer_labels = np.empty(inside.shape, np.int32), np.empty(outside.shape, np.int32)
    ndimage.label(inside, output=labels)
    ndimage.label(outside, np.ones((3, 3, 3)), outer_labels)
    components, cavities = int(labels.max()), int(outer_labels.max()) - 1
    return components + cavities > euler_characteristic(inside)


def euler_characteristic(inside: np.ndarray) -> int:
    """Of a set of grid points (X, Y, Z) bool, of which direct neighbors are connected: components minus handles plus
    cavities."""
    total = 0
    for axes in itertools.product((False, True), repeat=3):  # the cells that extend along these axes
        cells = inside
        for axis, extends in enumerate(axes):
            if extends:
                lines = np.moveaxis(cells, axis, 0)
                cells = np.moveaxis(lines[:-1] & lines[1:], 0, axis)
        total += (-1) ** sum(axes) * int(cells.sum())
    return total

"""Close narrow handles: tunnels that the object does not have, which a field may show where the surface is thin."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage

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
    points = np.argwhere(values < 0)
    reach = int(max_width / cell) + 2
    low = np.maximum(points.min(0) - reach, 1)  # the outermost layer stays positive, or the surface would be open
    high = np.minimum(points.max(0) + reach + 1, np.subtract(values.shape, 1))
    inner = values[tuple(slice(*bounds) for bounds in zip(low, high, strict=True))]
    if not has_handles(inner < 0):
        return values
    for radius in np.arange(_STEP, max_width / 2 / cell + _STEP, _STEP):
        inside = inner < 0
        outside = np.asarray(ndimage.distance_transform_edt(~inside)) > radius
        depth = np.asarray(ndimage.distance_transform_edt(~outside)) - radius  # positive inside the closing
        labels = np.empty(inner.shape, np.int32)
        ndimage.label((depth > 0) & ~inside, output=labels)
        for number, place in enumerate(ndimage.find_objects(labels), 1):
            around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in place)
            piece, before = labels[around] == number, inner[around] < 0
            if euler_characteristic(before | piece) > euler_characteristic(before):
                filled = np.minimum(inner[around], (-cell * depth[around]).astype(values.dtype))
                inner[around] = np.where(piece, filled, inner[around])
    return values


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

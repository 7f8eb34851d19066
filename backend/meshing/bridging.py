"""Join the parts of an object that a field tells apart: a pole too thin for the grid must not take its foot along."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

WIDEST_GAP = 0.25
"""World units that are bridged at most."""
UNSURE = 0.4
"""A true gap's middle is half as far from the surface as the gap is wide. Where the field says less than this share, it
lost a part that is hidden from most sides, as the top of an umbrella's pole or what holds a lampshade."""
NARROW = 3
"""Cells that are bridged in any case."""
SMALLEST_SHARE = 0.002
"""Of the main part's volume: what is smaller is a crumb. A mast, a skid or a sail is larger."""
RADIUS = 1.2
"""Of a bridge, in cells."""


def join(values: np.ndarray, cell: float) -> np.ndarray:
    """Distances on a grid (X, Y, Z), negative inside, where every part near the largest one is joined to it.

    cell: side of a grid cell in world units. Parts are joined from the nearest to the farthest, by a rod between the
    two nearest grid points inside, so that a foot may hang on a pole that itself had to be joined.
    """
    labels, count = ndimage.label(values < 0)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    largest = sizes.argmax()
    main, grown = labels == largest, True
    apart = [part for part in range(1, count + 1) if sizes[part] >= SMALLEST_SHARE * sizes[largest] and part != largest]
    while apart:
        if grown:
            distance, nearest = ndimage.distance_transform_edt(~main, return_indices=True)
        gaps = ndimage.minimum(distance, labels, apart)
        gap = min(gaps)
        part = apart.pop(int(np.argmin(gaps)))
        if gap * cell > WIDEST_GAP:
            break
        end = np.array(ndimage.minimum_position(distance, labels, part))
        start = nearest[(slice(None), *end)]
        way = np.linspace(start, end, 2 * int(gap) + 3).T
        between = ndimage.map_coordinates(values, way, order=1).max()
        # Both ends of a gap lie inside by half a cell or so: it is a cell narrower than counted.
        grown = gap <= NARROW or between < UNSURE * (gap - 1) * cell
        if grown:
            values = _rod(values, start, end, cell)
            main |= labels == part
    return values


def _rod(values: np.ndarray, start: np.ndarray, end: np.ndarray, cell: float) -> np.ndarray:
    """The union with a rod between two grid points (3,)."""
    low = np.maximum(np.minimum(start, end) - 3, 1)  # the outermost layer stays positive, or the surface would be open
    high = np.minimum(np.maximum(start, end) + 4, np.subtract(values.shape, 1))
    box = tuple(slice(*each) for each in zip(low, high, strict=True))
    points = np.stack(np.mgrid[box], -1) - start
    along = end - start
    share = np.clip(points @ along / max(along @ along, 1), 0, 1)
    rod = (np.linalg.norm(points - share[..., None] * along, axis=-1) - RADIUS) * cell
    values = values.copy()
    values[box] = np.minimum(values[box], rod.astype(np.float32))
    return values

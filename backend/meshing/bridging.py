"""Connect components of an object that a field separates: a pole too thin for the grid must not cost its base."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from .grid_sampling import box

MAX_GAP = 0.25
"""World units; wider gaps are never bridged."""
SHALLOW_GAP_RATIO = 0.4
"""The middle of a true gap is half as far from the surface as the gap is wide. Where the field is lower than this share
of the gap's width, the network lost a structure that is hidden in most views, like the top of an umbrella's pole."""
NARROW_GAP = 3
"""Grid cells; gaps up to this width are always bridged."""
MIN_VOLUME_RATIO = 0.002
"""Components with less than this share of the largest one's volume are dropped as debris. A mast, a skid or a sail is
larger."""
BRIDGE_RADIUS = 1.2
"""Grid cells."""


def bridge_components(
    values: np.ndarray, cell: float, is_needed: Callable[[np.ndarray, np.ndarray], bool]
) -> np.ndarray:
    """Signed distances on a grid (X, Y, Z), negative inside -> the same with nearby components bridged to the largest.

    cell: side of a grid cell in world units. is_needed: whether the image shows that a component belongs to the rest,
    both as (X, Y, Z) bool; then even a deep gap is bridged. Components are visited from the nearest to the farthest,
    and bridged by a rod between the two closest grid points inside, so that a base may hang on a pole that had to be
    bridged itself (docs/adr/009-bridge-shallow-gaps.md).
    """
    labels = np.empty(values.shape, np.int32)
    ndimage.label(values < 0, output=labels)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = sizes.argmax()
    main = labels == largest
    remaining = [
        label
        for label in range(1, len(sizes))
        if sizes[label] >= MIN_VOLUME_RATIO * sizes[largest] and label != largest
    ]
    distance, nearest = np.empty(values.shape), np.empty((values.ndim, *values.shape), np.int32)
    main_has_grown = True
    while remaining:
        if main_has_grown:
            ndimage.distance_transform_edt(~main, return_indices=True, distances=distance, indices=nearest)
        gaps = ndimage.minimum(distance, labels, remaining)
        gap = min(gaps)
        label = remaining.pop(int(np.argmin(gaps)))
        if gap * cell > MAX_GAP:
            break
        end = np.array(ndimage.minimum_position(distance, labels, label))
        start = nearest[(slice(None), *end)]
        path = np.linspace(start, end, 2 * int(gap) + 3).T
        highest = ndimage.map_coordinates(values, path, order=1).max()
        # Both ends of a gap lie about half a cell inside, so it is one cell narrower than counted.
        is_shallow = gap <= NARROW_GAP or highest < SHALLOW_GAP_RATIO * (gap - 1) * cell
        main_has_grown = is_shallow or is_needed(labels == label, main)
        if main_has_grown:
            values = _add_rod(values, start, end, cell)
            main |= labels == label
    return values


def _add_rod(values: np.ndarray, start: np.ndarray, end: np.ndarray, cell: float) -> np.ndarray:
    """The union of a grid of distances with a rod between two grid points (3,)."""
    low = np.maximum(np.minimum(start, end) - 3, 1)  # the outermost layer stays positive, or the surface would be open
    high = np.minimum(np.maximum(start, end) + 4, np.subtract(values.shape, 1))
    around = box(low, high)
    points = np.stack(list(np.mgrid[around]), -1) - start
    axis = end - start
    fraction = np.clip(points @ axis / max(axis @ axis, 1), 0, 1)
    rod = (np.linalg.norm(points - fraction[..., None] * axis, axis=-1) - BRIDGE_RADIUS) * cell
    values = values.copy()
    values[around] = np.minimum(values[around], rod.astype(np.float32))
    return values

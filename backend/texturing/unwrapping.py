"""UV unwrapping without overlap: charts by projection along axes, packed into the unit square."""

from __future__ import annotations

import numpy as np

from ..bounding_boxes import bounding_boxes
from ..data_types import Mesh
from . import charts, packing

MIN_CHECKED_SIZE = 2048
"""Side in texels of the grid on which charts are checked for overlap before packing, at least."""


def unwrap(mesh: Mesh, size: int) -> np.ndarray:
    """UVs of a closed mesh: (F, 3, 2) float32 in 0..1, origin bottom-left, without mirrored or overlapping faces.

    All charts have one scale. size: the texture's side in texels; no texel's center lies in two faces.
    """
    sides = charts.opposite_sides(mesh.faces)
    chart, flat, altitude = charts.compute_charts(mesh, sides)
    density = max(size, MIN_CHECKED_SIZE) / np.sqrt(bounding_boxes(flat, chart)[1].prod(1).sum())
    checked = np.arange(len(chart))
    while True:
        overlapping = np.zeros(len(chart), bool)
        numbers = np.unique(chart[checked], return_inverse=True)[1]
        overlapping[checked] = charts.overlapping_faces(flat[checked] * density, numbers, altitude[checked])
        if not overlapping.any():
            break
        checked = np.flatnonzero(np.isin(chart, chart[overlapping]))  # the others are split no further
        chart = charts.split_charts(chart, overlapping, sides)
    while True:
        # checked again at the packed positions, where the texels' centers fall elsewhere on the charts
        uvs = packing.pack(flat, chart, charts.chart_borders(chart, sides)).astype(np.float32)
        overlapping = charts.overlapping_faces(uvs.astype(np.float64) * size, chart, altitude)
        if not overlapping.any():
            return uvs
        chart = charts.split_charts(chart, overlapping, sides)

"""UVs without overlap: charts by box projection, packed into the square."""

from __future__ import annotations

import numpy as np

from ..types import Mesh
from . import charts, packing


def unwrap(mesh: Mesh, size: int) -> np.ndarray:
    """UVs of a closed mesh: (F, 3, 2) float32 in 0..1, origin bottom-left, no mirrored and no overlapping faces.

    All charts have one scale. size: the texture's side in texels; no texel's center lies in two faces.
    """
    chart, flat, height = charts.cut(mesh)
    density = max(size, 2048) / np.sqrt(charts.box(flat, chart)[1].prod(1).sum())
    while (hidden := charts.hidden(flat * density, chart, height)).any():
        chart = charts.part(chart, hidden, mesh.faces)
    while True:
        # other samples decide here than above, where the charts had not found their places
        uvs = packing.pack(flat, chart).astype(np.float32)
        hidden = charts.hidden(uvs.astype(np.float64) * size, chart, height)
        if not hidden.any():
            return uvs
        chart = charts.part(chart, hidden, mesh.faces)

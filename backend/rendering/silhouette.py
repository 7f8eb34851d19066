"""How much of what the input image shows is in the mesh."""

from __future__ import annotations

import numpy as np

from .. import camera
from ..data_types import VISIBLE, Mesh
from .raycasting import RayCaster

COMPLETE = 0.85
"""Share of the silhouette below which a user has to be told that something is missing."""


def silhouette_recall(mesh: Mesh, mask: np.ndarray, camera_to_world: np.ndarray) -> float:
    """Share of the object's pixels in ``mask`` (S, S) 0..1 that ``mesh`` covers, seen by the camera (4, 4); 1 for an
    empty mask."""
    visible = mask >= VISIBLE
    origins, directions = (array[visible] for array in camera.rays(camera_to_world, len(mask)))
    return float(RayCaster(mesh).cast(origins, directions)[0].mean()) if visible.any() else 1.0


def missing_warning(recall: float) -> str | None:
    """What to say about a recall, or None where the mesh shows all but the rim of what the image shows."""
    if recall >= COMPLETE:
        return None
    return (
        f"{1 - recall:.0%} of what the image shows of the object is missing in the mesh: try another seed, or give a "
        "further image of the object."
    )

"""Views of one object put together and taken apart, by their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import camera
from ..data_types import Cutout, Views
from ..preprocessing.canvas import resize_on_white


def input_view(cutout: Cutout, size: int, elevation: float) -> Views:
    """The input image alone, ``size`` pixels a side, from its own camera; ``elevation`` in degrees."""
    image, mask = resize_on_white(cutout, size)
    return Views(
        image[None],
        mask[None],
        camera.camera_to_world(90 - np.array([elevation]), 0.0),
        ("input",),
    )


def join_views(parts: Sequence[Views]) -> Views:
    """All views of all ``parts``, of which none may have the name of another."""
    return Views(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.camera_to_world for part in parts]),
        tuple(name for part in parts for name in part.names),
    )


def select_views(views: Views, names: Sequence[str]) -> Views:
    """The views of these names, in their order; there may be none."""
    indices = [views.names.index(name) for name in names]
    return Views(views.images[indices], views.masks[indices], views.camera_to_world[indices], tuple(names))


def mirror_views(views: Views) -> Views:
    """Left and right exchanged: what cameras on the other side see of the mirrored object."""
    elevations, azimuths = np.transpose([camera.direction_angles(pose) for pose in views.camera_to_world])
    return Views(
        np.ascontiguousarray(views.images[:, :, ::-1]),
        np.ascontiguousarray(views.masks[:, :, ::-1]),
        camera.camera_to_world(90 - elevations, -azimuths),
        views.names,
    )


def move_views(views: Views, angles: Sequence[Sequence[float]]) -> Views:
    """The same images from cameras at (elevation, azimuth) each, in degrees."""
    elevations, azimuths = np.array(angles, np.float64).reshape(-1, 2).T
    return Views(views.images, views.masks, camera.camera_to_world(90 - elevations, azimuths), views.names)

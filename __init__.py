"""Image to Mesh: a picture becomes a textured 3D object."""

from __future__ import annotations

from . import properties
from .operators import generate, job, remesh, setup, weights
from .panels import image_editor, preferences, preview, sidebar
from .panels import weights as weights_panel

_PARTS = (properties, preferences, job, setup, weights, generate, remesh, preview, weights_panel, sidebar, image_editor)


def register() -> None:
    for part in _PARTS:
        part.register()


def unregister() -> None:
    for part in reversed(_PARTS):
        part.unregister()

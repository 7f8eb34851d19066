"""Image to Mesh: an image becomes a textured 3D object."""

from __future__ import annotations

from . import properties
from .operators import (
    asset,
    backend_location,
    drop,
    generate,
    remesh,
    results,
    saved_results,
    setup,
    task_operator,
    tasks,
    weights,
)
from .panels import image_editor, preferences, preview, sidebar
from .panels import weights as weights_panel

_MODULES = (
    properties,
    preferences,
    backend_location,
    tasks,
    task_operator,
    setup,
    weights,
    generate,
    drop,
    remesh,
    results,
    saved_results,
    asset,
    preview,
    weights_panel,
    sidebar,
    image_editor,
)


def register() -> None:
    for module in _MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(_MODULES):
        module.unregister()

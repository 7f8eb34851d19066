"""Image to Mesh: an image becomes a textured 3D object.

Scripts call ``generate(image, faces=5000, ...)``, which returns the object (docs/scripting.md).
"""

from __future__ import annotations

from . import properties
from .operators import (
    asset,
    backend_location,
    command,
    drop,
    image_sources,
    matching_camera,
    quads,
    remedies,
    remesh,
    results,
    saved_results,
    setup,
    setup_plan,
    task_operator,
    tasks,
    textureless,
    weights,
)
from .operators import generate as generate_operators
from .operators.scripting import generate
from .panels import image_editor, preferences, preview, sidebar
from .panels import weights as weights_panel

__all__ = ["generate", "register", "unregister"]

_MODULES = (
    properties,
    preferences,
    backend_location,
    tasks,
    task_operator,
    setup_plan,
    setup,
    weights,
    generate_operators,
    drop,
    image_sources,
    remesh,
    quads,
    results,
    saved_results,
    asset,
    matching_camera,
    textureless,
    remedies,
    command,
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

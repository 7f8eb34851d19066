"""Image to Mesh: an image becomes a textured 3D object.

Scripts call ``generate(image, faces=5000, ...)``, which returns the object (docs/scripting.md).
"""

from __future__ import annotations

from . import properties
from .operators import (
    another_back,
    asset,
    backend_location,
    command,
    cutout,
    drop,
    given_views,
    image_sources,
    matching_camera,
    quads,
    rebuild,
    remedies,
    remesh,
    results,
    saved_results,
    setup,
    setup_plan,
    task_operator,
    tasks,
    textureless,
    view_edits,
    view_properties,
    weights,
)
from .operators import generate as generate_operators
from .operators.scripting import generate
from .panels import contact_sheet, image_editor, preferences, preview, sidebar, text_to_mesh, views
from .panels import weights as weights_panel

__all__ = ["generate", "register", "unregister"]

_MODULES = (
    properties,
    view_properties,
    preferences,
    backend_location,
    tasks,
    task_operator,
    setup_plan,
    setup,
    weights,
    generate_operators,
    cutout,
    drop,
    image_sources,
    given_views,
    view_edits,
    rebuild,
    remesh,
    quads,
    results,
    saved_results,
    another_back,
    asset,
    matching_camera,
    textureless,
    remedies,
    command,
    preview,
    contact_sheet,
    weights_panel,
    sidebar,
    image_editor,
    views,
    text_to_mesh,
)


def register() -> None:
    for module in _MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(_MODULES):
        module.unregister()

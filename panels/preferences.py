"""The extension's preferences: where its backend lives on this computer."""

from __future__ import annotations

import bpy

from ..operators import setup, weights
from ..operators.paths import PACKAGE
from .sidebar import draw_setup
from .weights import draw_weights


def _changed(preferences, context) -> None:
    setup.look()
    weights.look()


class ImageToMeshPreferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    home: bpy.props.StringProperty(
        name="Data Folder",
        description="Where the backend's Python packages and installed weights are kept (1.5 GB and more); "
        "left empty, the system's usual place for application data",
        subtype="DIR_PATH",
        update=_changed,
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="A Python that has the backend's packages already; left empty, the one that Install makes",
        subtype="FILE_PATH",
        update=_changed,
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "home")
        layout.prop(self, "python")
        layout.label(text="The backend is installed" if setup.is_ready() else "The backend is not installed yet")
        if setup.is_running():
            draw_setup(layout)
            return
        row = layout.row()
        install = row.operator(
            "image_to_mesh.install", text="Repair Backend" if setup.is_ready() else "Install Backend"
        )
        install.repair = setup.is_ready()
        row.operator("image_to_mesh.open_log")
        draw_weights(context, layout)


register, unregister = bpy.utils.register_classes_factory((ImageToMeshPreferences,))

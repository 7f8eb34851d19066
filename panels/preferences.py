"""The extension's preferences: where its backend is on this computer."""

from __future__ import annotations

import bpy

from ..operators import backend_location, weights
from ..operators.paths import PACKAGE
from ..operators.setup import InstallTask
from ..operators.tasks import task_manager
from .task import draw_progress
from .weights import draw_weights


def _on_change(preferences, context) -> None:
    backend_location.refresh()
    weights.invalidate()


class ImageToMeshPreferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    home: bpy.props.StringProperty(
        name="Data Folder",
        description="Folder for the backend's Python packages and installed weights (1.5 GB and more); "
        "if empty, the system's usual folder for application data",
        subtype="DIR_PATH",
        update=_on_change,
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="A Python that already has the backend's packages; if empty, the one that Install Backend creates",
        subtype="FILE_PATH",
        update=_on_change,
    )

    results_limit: bpy.props.IntProperty(
        name="Results Limit",
        description="Megabytes that saved results may take on disk: when a job starts, the oldest that the open file "
        "does not use are deleted",
        default=2000,
        min=1,
        soft_min=100,
        soft_max=100_000,
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "results_limit", text="Results Limit (MB)")
        layout.prop(self, "home")
        layout.prop(self, "python")
        is_ready, installation = backend_location.is_ready(), task_manager().running(InstallTask)
        layout.label(text="The backend is installed" if is_ready else "The backend is not installed yet")
        if installation is not None:
            draw_progress(layout, installation)
            return
        row = layout.row()
        install = row.operator("image_to_mesh.install", text="Repair Backend" if is_ready else "Install Backend")
        install.repair = is_ready
        row.operator("image_to_mesh.open_log")
        draw_weights(context, layout)


register, unregister = bpy.utils.register_classes_factory((ImageToMeshPreferences,))

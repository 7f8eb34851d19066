"""The extension's preferences: where its backend is on this computer, and what it may use of it."""

from __future__ import annotations

import bpy

from ..operators import backend_location, weights
from ..operators.cutout_check import PAUSE
from ..operators.paths import PACKAGE
from ..operators.setup import EnvironmentTask
from ..operators.tasks import task_manager
from ..properties import COMPUTER_OPTIONS, option_property
from .setup import draw_maintenance, draw_setup
from .weights import draw_weights


def _on_change(preferences, context) -> None:
    backend_location.refresh()
    weights.invalidate()


_DEVICE, _LOW_MEMORY = map(option_property, COMPUTER_OPTIONS)


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

    device: _DEVICE
    low_memory: _LOW_MEMORY
    idle_minutes: bpy.props.IntProperty(
        name="Free Memory After",
        description="Minutes without a job after which the networks are dropped from memory; the next job then takes a "
        "few seconds more",
        default=5,
        min=0,
        max=24 * 60,
        subtype="UNSIGNED",
    )
    check_cutout: bpy.props.EnumProperty(
        name="Check Cutout First",
        description="Show how the object was cut out of the image, before it becomes a mesh",
        items=[
            ("OFF", "Off", "Do not stop"),
            ("PAUSE", "Pause", f"Go on after {PAUSE:.0f} seconds, unless you decide something else"),
            ("WAIT", "Wait", "Wait until you go on"),
        ],
        default="PAUSE",
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
        layout.prop(self, "check_cutout")
        layout.prop(self, "results_limit", text="Results Limit (MB)")
        layout.prop(self, "device")
        layout.prop(self, "low_memory")
        row = layout.row()
        row.prop(self, "idle_minutes", text="Free Memory After (min)")
        row.operator("image_to_mesh.free_memory")
        layout.prop(self, "home")
        layout.prop(self, "python")
        box = layout.box()
        if task_manager().running(EnvironmentTask) or not backend_location.is_ready():
            draw_setup(context, box)
        else:
            draw_maintenance(context, box)
        draw_weights(context, layout)


register, unregister = bpy.utils.register_classes_factory((ImageToMeshPreferences,))

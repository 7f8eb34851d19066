"""The same panel in the Image Editor, where the open image is the one used."""

from __future__ import annotations

import bpy

from . import sidebar
from .results import ResultsPanel


class IMAGE_PT_image_to_mesh(sidebar.MainPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"

    def draw_image(self, context, layout):
        shown = context.space_data.image
        if shown is None or shown.type == "RENDER_RESULT" or shown.source == "TILED":
            super().draw_image(context, layout)


class IMAGE_PT_image_to_mesh_settings(sidebar.SettingsPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh"


class IMAGE_PT_image_to_mesh_result(sidebar.ResultPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh"


class IMAGE_PT_image_to_mesh_results(ResultsPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh"


register, unregister = bpy.utils.register_classes_factory(
    (
        IMAGE_PT_image_to_mesh,
        IMAGE_PT_image_to_mesh_settings,
        IMAGE_PT_image_to_mesh_result,
        IMAGE_PT_image_to_mesh_results,
    )
)

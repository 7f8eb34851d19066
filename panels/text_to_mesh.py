"""Text to Mesh, in a panel of its own: most people start from an image."""

from __future__ import annotations

import bpy

from ..operators.backend_location import is_ready
from ..operators.generate import AUTOMATIC
from ..operators.text import draw_text
from ..operators.weights import has_text_model
from .weights import draw_weights_task


class TextPanel:
    """The prompt and its button; where no model could generate an image, the list of those that can."""

    bl_label = "Text to Mesh"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1

    @classmethod
    def poll(cls, context):
        return is_ready()

    def draw(self, context):
        layout, settings = self.layout, context.scene.image_to_mesh
        if settings.text_model == AUTOMATIC and not has_text_model():
            draw_text(context, layout, "This needs a text-to-image model. None is included.", icon="INFO")
            layout.menu("IMAGE_TO_MESH_MT_text_models", text="Get a Model", icon="IMPORT")
            draw_weights_task(context, layout)
            return
        column = layout.column(align=True)
        column.prop(settings, "prompt", text="", placeholder="a blue teapot")
        column.operator("image_to_mesh.text_to_mesh", icon="TEXT")


class VIEW3D_PT_image_to_mesh_text(TextPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


class IMAGE_PT_image_to_mesh_text(TextPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh"


register, unregister = bpy.utils.register_classes_factory((VIEW3D_PT_image_to_mesh_text, IMAGE_PT_image_to_mesh_text))

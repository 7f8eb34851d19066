"""Further images from the start, and the views of a result: what can be changed before Rebuild."""

from __future__ import annotations

import bpy

from ..operators.job_folders import job_folder, made_object, provenance
from ..operators.view_sheet import views_of
from .contact_sheet import draw_sheet


class MoreViewsPanel:
    """Other images of the object, which a new job takes too."""

    bl_label = "More Views"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 0

    def draw(self, context):
        _draw_views(self.layout, context.scene.image_to_mesh_views, of_object=False)


class ViewsPanel:
    """The views that the active object was made of."""

    bl_label = "Views"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        active = made_object(context)
        return active is not None and job_folder(active) is not None

    def draw(self, context):
        layout, obj = self.layout, context.active_object
        folder, edits = job_folder(obj), obj.image_to_mesh_edits
        if folder is None or not draw_sheet(layout, obj, folder):
            layout.label(text="Not on this computer", icon="INFO")
            return
        labels = {view.name: view.label for view in views_of(folder)}
        for change in edits.changes:
            if change.action == "IMAGE":
                row = layout.split(factor=0.25)
                row.label(text=labels.get(change.name, change.name))
                row.template_ID(change, "image", open="image.open")
        _draw_views(layout, edits.views, of_object=True)
        about = provenance(obj)
        confidence = about.get("elevation_confidence", 0.0)
        column = layout.column(align=True)
        column.prop(edits, "elevation", slider=True)
        if isinstance(confidence, float) and confidence < 1:
            how = "Assumed" if about.get("elevation_source") == "default" else "Estimated"
            column.label(text=f"{how}; confidence {confidence:.0%}")
        row = layout.row(align=True)
        row.scale_y = 1.5
        row.operator("image_to_mesh.rebuild", icon="FILE_REFRESH")
        row.operator("image_to_mesh.discard_edits", text="", icon="LOOP_BACK")


def _draw_views(layout, views, of_object: bool) -> None:
    for index, view in enumerate(views):
        box = layout.box().column(align=True)
        row = box.row(align=True)
        row.prop(view, "side", text="")
        remove = row.operator("image_to_mesh.remove_view", text="", icon="X")
        remove.index, remove.of_object = index, of_object
        if view.side == "ANGLE":
            box.prop(view, "azimuth")
            box.prop(view, "elevation")
        box.template_ID(view, "image", open="image.open")
    layout.operator("image_to_mesh.add_view", icon="ADD").of_object = of_object


class VIEW3D_PT_image_to_mesh_more_views(MoreViewsPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


class VIEW3D_PT_image_to_mesh_views(ViewsPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh_result"


class IMAGE_PT_image_to_mesh_more_views(MoreViewsPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh"


class IMAGE_PT_image_to_mesh_views(ViewsPanel, bpy.types.Panel):
    bl_space_type = "IMAGE_EDITOR"
    bl_parent_id = "IMAGE_PT_image_to_mesh_result"


register, unregister = bpy.utils.register_classes_factory(
    (
        VIEW3D_PT_image_to_mesh_more_views,
        VIEW3D_PT_image_to_mesh_views,
        IMAGE_PT_image_to_mesh_more_views,
        IMAGE_PT_image_to_mesh_views,
    )
)

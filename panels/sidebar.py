"""The panel in the 3D View's sidebar; the Image Editor shows the same (image_editor.py)."""

from __future__ import annotations

import contextlib

import bpy

from ..operators import image_input
from ..operators.backend_location import is_ready
from ..operators.image_conversion import ImageConversion
from ..operators.job_folders import provenance
from ..operators.quads import QuadsTask
from ..operators.reconstruction import ReconstructionTask
from ..operators.setup import EnvironmentTask
from ..operators.tasks import task_manager
from ..operators.text import draw_text
from ..operators.textureless import is_textureless
from ..properties import SCENE_OPTIONS, toggle_name
from .cutout import draw_cutout
from .results import ResultsPanel
from .setup import draw_setup
from .task import draw_error, draw_failures, draw_progress
from .weights import draw_weights_task

_SUSPICIOUS_HANDLES = 2
"""A mug has one; what has more usually got them where its surface was too thin."""


class MainPanel:
    """An image, its button, and what is happening."""

    bl_label = "Image to Mesh"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"

    def draw(self, context):
        if task_manager().running(EnvironmentTask) or not is_ready():
            draw_setup(context, self.layout)
        else:
            self._draw_reconstruction(context, self.layout)

    def _draw_reconstruction(self, context, layout):
        task, conversion = task_manager().latest(ReconstructionTask), task_manager().latest(ImageConversion)
        self.draw_image(context, layout)
        if conversion is not None and not conversion.finished:
            draw_progress(context, layout, conversion)
            return
        if task is not None and not task.finished:
            if task.check is not None and task.check.is_shown:
                draw_cutout(context, layout, task)
            else:
                draw_progress(context, layout, task)
            draw_failures(context, layout)
            return
        column = layout.column()
        column.scale_y = 1.5
        column.operator("image_to_mesh.generate", icon="MESH_MONKEY")
        draw_failures(context, layout)
        draw_error(context, layout, conversion)
        if task is None:
            return
        if task.waits_for_scene:
            layout.operator("image_to_mesh.add_result", icon="IMPORT")
        if task.added:
            row = layout.row()
            row.label(text=f"{task.name}: done in {task.seconds:.0f} s", icon="CHECKMARK")
            row.operator("image_to_mesh.frame_result", text="", icon="ZOOM_SELECTED")
        if task.inputs == image_input.inputs(context) and not task.is_one_of_many:
            draw_error(context, layout, task)

    def draw_image(self, context, layout):
        """The image to be used, and where to choose another."""
        chosen = context.scene.image_to_mesh.image
        layout.template_ID(context.scene.image_to_mesh, "image", open="image.open")
        row = layout.row(align=True)
        row.operator("image_to_mesh.paste_image", text="Paste", icon="PASTEDOWN")
        row.operator("image_to_mesh.use_render", icon="RENDER_STILL")
        image = image_input.active_image(context)
        if image is None:
            if task_manager().running(ReconstructionTask) is None:  # it may be of a dropped file
                layout.label(text="No image selected", icon="IMAGE_DATA")
            return
        preview = image.preview_ensure()
        if preview is not None and preview.icon_id:
            layout.template_icon(preview.icon_id, scale=6)
        if image != chosen:
            layout.label(text=image.name, icon="IMAGE_DATA")
        if image.source == "TILED":
            draw_text(context, layout, "Only the first tile of this UDIM image is used.", icon="INFO")


class SettingsPanel:
    bl_label = "Settings"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.image_to_mesh
        for option in SCENE_OPTIONS:
            toggle = toggle_name(option)
            if option.name == "weights":
                row = layout.row(align=True)
                row.prop(settings, option.name)
                row.menu("IMAGE_TO_MESH_MT_weights", text="", icon="DOWNARROW_HLT")
                draw_weights_task(context, layout)
                continue
            if option.name == "text_model":
                row = layout.row(align=True)
                row.prop(settings, option.name)
                row.menu("IMAGE_TO_MESH_MT_text_models", text="", icon="DOWNARROW_HLT")
                continue
            if toggle is None:
                layout.prop(settings, option.name)
                continue
            row = layout.row(heading=option.metadata["label"])
            row.prop(settings, toggle, text="")
            value = row.row()
            value.active = getattr(settings, toggle)
            value.prop(settings, option.name, text="")
        layout.prop(settings, "camera")
        row = layout.row(align=True)
        row.operator("image_to_mesh.free_memory")
        row.operator("image_to_mesh.open_preferences", text="", icon="PREFERENCES")


class ResultPanel:
    """The measurements of the active object, and its remeshing."""

    bl_label = "Result"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_order = 3

    @classmethod
    def poll(cls, context):
        return context.active_object is not None and bool(provenance(context.active_object))

    def draw(self, context):
        layout = self.layout
        about = provenance(context.active_object)
        column = layout.column(align=True)
        with contextlib.suppress(KeyError, TypeError, ValueError):  # anybody may have written the property
            for label, text in _facts(about):
                row = column.row()
                row.label(text=label)
                row.label(text=text)
        handles = about.get("genus", 0)
        if isinstance(handles, int) and handles >= _SUSPICIOUS_HANDLES:
            text = f"There are {handles} holes through the object, more than most things have."
            draw_text(context, layout, text, icon="INFO")
            layout.operator("image_to_mesh.remesh", text="Close Handles", icon="MESH_TORUS").close_handles = True
        warnings = str(about.get("warnings", ""))  # anybody may have written the property
        for warning in warnings.splitlines():
            draw_text(context, layout, warning)
        task = task_manager().latest(QuadsTask)
        if task is not None and not task.finished:
            draw_progress(context, layout, task)
        else:
            row = layout.row(align=True)
            row.operator("image_to_mesh.remesh", icon="MOD_DECIM")
            row.operator("image_to_mesh.quads", icon="MOD_REMESH")
            draw_error(context, layout, task)
        row = layout.row(align=True)
        row.operator("image_to_mesh.another_back", icon="ADD")
        row.operator("image_to_mesh.generate_again", icon="FILE_REFRESH")
        layout.operator("image_to_mesh.mark_asset", icon="ASSET_MANAGER")
        layout.operator("image_to_mesh.use_camera", icon="CAMERA_DATA")
        is_bare = is_textureless(context.active_object)
        layout.operator("image_to_mesh.textureless", icon="SHADING_SOLID", depress=is_bare)


def _facts(about):
    """(label, text) of each measurement that is shown."""
    yield "Vertices", f"{about['vertices']:,}"
    yield "Faces", f"{about['faces']:,}"
    yield "Closed", "Yes" if about["watertight"] else "No"
    yield "Manifold", "Yes" if about["manifold"] else "No"
    yield "Elevation", f"{about['elevation']:.0f}°, {about['elevation_source']}"
    if about["elevation_source"] != "given":
        yield "Confidence", f"{about['elevation_confidence']:.0%}"
    yield "Seed", f"{about['options']['seed']}"
    yield "Weights", f"{about['options']['weights']}"


class VIEW3D_PT_image_to_mesh(MainPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"


class VIEW3D_PT_image_to_mesh_settings(SettingsPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


class VIEW3D_PT_image_to_mesh_result(ResultPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


class VIEW3D_PT_image_to_mesh_results(ResultsPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


register, unregister = bpy.utils.register_classes_factory(
    (
        VIEW3D_PT_image_to_mesh,
        VIEW3D_PT_image_to_mesh_settings,
        VIEW3D_PT_image_to_mesh_result,
        VIEW3D_PT_image_to_mesh_results,
    )
)

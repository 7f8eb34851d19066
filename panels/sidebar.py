"""The panel in the 3D View's sidebar; the Image Editor shows the same (image_editor.py)."""

from __future__ import annotations

import textwrap
import time
from dataclasses import fields

import bpy

from ..backend.options import Options
from ..operators import image_input, setup
from ..operators import job as jobs
from ..operators.scene import PROVENANCE
from ..properties import switch_of
from . import preview
from .weights import draw_command


class MainPanel:
    """Picture or words, a button for each, and what is happening."""

    bl_label = "Image to Mesh"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"

    def draw(self, context):
        layout = self.layout
        if setup.is_running():
            draw_setup(layout)
        elif not setup.is_ready():
            _draw_install(context, layout)
        else:
            self._draw_job(context, layout)

    def _draw_job(self, context, layout):
        job = jobs.current
        self.draw_picture(context, layout)
        if jobs.is_running():
            _draw_progress(layout, job)
            return
        column = layout.column()
        column.scale_y = 1.5
        column.operator("image_to_mesh.generate", icon="MESH_MONKEY")
        column = layout.column(align=True)
        column.prop(context.scene.image_to_mesh, "text", text="", placeholder="a blue teapot")
        column.operator("image_to_mesh.imagine", icon="TEXT")
        if job is not None and job.waits_for_scene:
            layout.operator("image_to_mesh.place", icon="IMPORT")
        if job is not None:
            _draw_error(context, layout, job.error)

    def draw_picture(self, context, layout):
        """The picture to be used, and where to pick another."""
        picked = context.scene.image_to_mesh.image
        layout.template_ID(context.scene.image_to_mesh, "image", open="image.open")
        image = image_input.active_image(context)
        if image is None:
            layout.label(text="No picture yet", icon="IMAGE_DATA")
            return
        preview = image.preview_ensure()
        if preview is not None and preview.icon_id:
            layout.template_icon(preview.icon_id, scale=6)
        if image != picked:
            layout.label(text=image.name, icon="IMAGE_DATA")


class SettingsPanel:
    bl_label = "Settings"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.image_to_mesh
        for option in fields(Options):
            switch = switch_of(option)
            if option.name == "weights":
                row = layout.row(align=True)
                row.prop(settings, option.name)
                row.menu("IMAGE_TO_MESH_MT_weights", text="", icon="DOWNARROW_HLT")
                draw_command(layout)
                continue
            if switch is None:
                layout.prop(settings, option.name)
                continue
            row = layout.row(heading=option.metadata["label"])
            row.prop(settings, switch, text="")
            value = row.row()
            value.active = getattr(settings, switch)
            value.prop(settings, option.name, text="")
        layout.prop(settings, "camera")


class ResultPanel:
    """The measured report of the active object, and its rework."""

    bl_label = "Result"
    bl_category = "Image to Mesh"
    bl_region_type = "UI"

    @classmethod
    def poll(cls, context):
        return context.active_object is not None and PROVENANCE in context.active_object

    def draw(self, context):
        layout = self.layout
        about = context.active_object[PROVENANCE]
        column = layout.column(align=True)
        for label, text in _facts(about):
            row = column.row()
            row.label(text=label)
            row.label(text=text)
        layout.operator("image_to_mesh.rework", icon="MOD_DECIM")


def _facts(about):
    """(label, text) of what is worth knowing of a result."""
    yield "Vertices", f"{about['vertices']:,}"
    yield "Faces", f"{about['faces']:,}"
    yield "Closed", "Yes" if about["watertight"] else "No"
    yield "Manifold", "Yes" if about["manifold"] else "No"
    yield "Elevation", f"{about['elevation']:.0f}°, {about['elevation_source']}"
    if about["elevation_source"] != "given":
        yield "Confidence", f"{about['elevation_confidence']:.0%}"


def _draw_install(context, layout):
    layout.label(text="The backend is not installed yet", icon="INFO")
    if not bpy.app.online_access and not bpy.app.online_access_override:
        layout.prop(context.preferences.system, "use_online_access")
    column = layout.column()
    column.scale_y = 1.5
    column.operator("image_to_mesh.install", icon="IMPORT")
    if setup.current is not None:
        _draw_error(context, layout, setup.current.error)


def draw_setup(layout):
    """The running installation."""
    layout.progress(factor=setup.current.fraction, text=setup.current.text)
    layout.operator("image_to_mesh.cancel_install", icon="CANCEL")


def _draw_progress(layout, job):
    seconds = int(time.monotonic() - job.started)
    layout.progress(factor=job.fraction, text=f"{job.text}  {seconds // 60}:{seconds % 60:02}")
    icon = preview.icon_of(job.preview)
    if icon:
        layout.template_icon(icon, scale=8)
    layout.operator("image_to_mesh.cancel", icon="CANCEL")


def _draw_error(context, layout, error):
    """What went wrong, in lines as wide as the region."""
    if error is None or error.code == "cancelled":
        return
    room = max(16, int(context.region.width / (7 * context.preferences.system.ui_scale)))
    column = layout.box().column(align=True)
    for line in textwrap.wrap(str(error), room):
        column.label(text=line)
    layout.operator("image_to_mesh.open_log", icon="TEXT")


class VIEW3D_PT_image_to_mesh(MainPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"


class VIEW3D_PT_image_to_mesh_settings(SettingsPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


class VIEW3D_PT_image_to_mesh_result(ResultPanel, bpy.types.Panel):
    bl_space_type = "VIEW_3D"
    bl_parent_id = "VIEW3D_PT_image_to_mesh"


register, unregister = bpy.utils.register_classes_factory(
    (VIEW3D_PT_image_to_mesh, VIEW3D_PT_image_to_mesh_settings, VIEW3D_PT_image_to_mesh_result)
)

"""Image to Mesh and Text to Mesh: a picture, or words, become an object in the scene."""

from __future__ import annotations

import time

import bpy

from ..backend.version import VERSION
from ..properties import options_of
from . import image_input, scene
from . import job as jobs
from .follow import FollowsJob
from .paths import new_job_folder


class _Generates(FollowsJob):
    """Mixin of an operator that makes a new object."""

    @classmethod
    def new_job(cls, context, name: str, source: dict) -> jobs.Job:
        """A job in a folder of its own, for an object called ``name``; ``source`` says what it is made of."""
        return jobs.Job(
            folder=new_job_folder(),
            name=name,
            provenance={
                **source,
                "options": options_of(context.scene),
                "version": VERSION,
                "time": time.strftime("%Y-%m-%d %H:%M:%S"),
            },
            camera=context.scene.image_to_mesh.camera,
        )

    def finish(self, context, job: jobs.Job) -> None:
        scene.place(context, job.folder, job.name, job.provenance, job.camera)


class IMAGE_TO_MESH_OT_generate(_Generates, bpy.types.Operator):
    bl_idname = "image_to_mesh.generate"
    bl_label = "Image to Mesh"
    bl_description = (
        "Turn the active picture into a textured object at the 3D cursor. "
        "Takes a minute or two without a graphics card; Esc cancels"
    )
    # Without REGISTER: redoing from the panel or by Repeat Last would generate again, with Blender frozen.
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        if image_input.active_image(context) is None:
            return "Pick a picture in the Image to Mesh panel, or open one in an Image Editor"
        return None

    @classmethod
    def job(cls, context):
        name = image_input.picture_name(image_input.active_image(context))
        return cls.new_job(context, name, {"picture": name})

    @classmethod
    def request(cls, context, job):
        path = image_input.as_file(image_input.active_image(context), job.folder)
        return lambda backend: backend.generate(path, job.folder, job.provenance["options"])


class IMAGE_TO_MESH_OT_imagine(_Generates, bpy.types.Operator):
    bl_idname = "image_to_mesh.imagine"
    bl_label = "Text to Mesh"
    bl_description = (
        "Paint a picture of what the words in the Image to Mesh panel say, and turn it into a textured object at the "
        "3D cursor. Needs a text-to-image model; Esc cancels"
    )
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context):
        if not context.scene.image_to_mesh.text.strip():
            return "Say in the Image to Mesh panel what it shall be"
        return None

    @classmethod
    def job(cls, context):
        text = context.scene.image_to_mesh.text.strip()
        return cls.new_job(context, text, {"text": text})

    @classmethod
    def request(cls, context, job):
        return lambda backend: backend.imagine(job.name, job.folder, job.provenance["options"])


class IMAGE_TO_MESH_OT_place(bpy.types.Operator):
    bl_idname = "image_to_mesh.place"
    bl_label = "Add Result to Scene"
    bl_description = "Add the object that was finished while another file was opened"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return jobs.current is not None and jobs.current.waits_for_scene

    def execute(self, context):
        job = jobs.current
        try:
            scene.place(context, job.folder, job.name, job.provenance, job.camera)
        except jobs.UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job.placed = True
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_cancel(bpy.types.Operator):
    bl_idname = "image_to_mesh.cancel"
    bl_label = "Cancel"
    bl_description = "Stop the running job; the scene stays as it is"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return jobs.is_running()

    def execute(self, context):
        jobs.cancel()
        return {"FINISHED"}


def _menu(self, context) -> None:
    self.layout.separator()
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator(IMAGE_TO_MESH_OT_generate.bl_idname, icon="MESH_MONKEY")
    self.layout.operator(IMAGE_TO_MESH_OT_imagine.bl_idname, icon="TEXT")


_CLASSES = (
    IMAGE_TO_MESH_OT_generate,
    IMAGE_TO_MESH_OT_imagine,
    IMAGE_TO_MESH_OT_place,
    IMAGE_TO_MESH_OT_cancel,
)
_MENUS = ("VIEW3D_MT_mesh_add", "VIEW3D_MT_object", "IMAGE_MT_image")  # operator search (F3) looks through menus


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    for name in _MENUS:
        getattr(bpy.types, name).append(_menu)


def unregister() -> None:
    for name in _MENUS:
        getattr(bpy.types, name).remove(_menu)
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

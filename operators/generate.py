"""Image to Mesh and Text to Mesh: an image, or a text prompt, becomes an object in the scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.version import VERSION
from ..properties import option_values
from . import image_input
from .job_folders import new_job_folder
from .reconstruction import ReconstructionOperator, ReconstructionTask, described


def _new_task(
    context: bpy.types.Context, folder: Path, name: str, source: dict, request: Callable[[Backend], int]
) -> ReconstructionTask:
    """A task for a new object called ``name``; ``source`` says what it is made of."""
    provenance = {
        **source,
        "options": described(option_values(context.scene)),
        "version": VERSION,
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    camera = context.scene.image_to_mesh.camera
    return ReconstructionTask(context, folder, name, provenance, request, camera=camera)


# Both without UNDO and REGISTER: the result is an undo step of its own (results.py), and redoing from the panel or by
# Repeat Last would generate again.


class IMAGE_TO_MESH_OT_generate(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.generate"
    bl_label = "Image to Mesh"
    bl_description = (
        "Turn the active image into a textured object at the 3D cursor. "
        "Takes under a minute on a CPU with the starter weights; you can keep working meanwhile"
    )

    @classmethod
    def blocked_reason(cls, context):
        if image_input.active_image(context) is None:
            return "Choose an image in the Image to Mesh panel, or open one in an Image Editor"
        return None

    @classmethod
    def new_task(cls, context):
        image, folder = image_input.active_image(context), new_job_folder()
        name, options = image_input.object_name(image), option_values(context.scene)

        def request(backend: Backend) -> int:
            return backend.generate(image_input.image_file(image, folder), folder, options)

        return _new_task(context, folder, name, {"image": name}, request)


class IMAGE_TO_MESH_OT_text_to_mesh(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.text_to_mesh"
    bl_label = "Text to Mesh"
    bl_description = (
        "Generate an image from the prompt in the Image to Mesh panel, and turn it into a textured object at the "
        "3D cursor. Needs a text-to-image model"
    )

    @classmethod
    def blocked_reason(cls, context):
        if not context.scene.image_to_mesh.prompt.strip():
            return "Enter a prompt in the Image to Mesh panel"
        return None

    @classmethod
    def new_task(cls, context):
        folder, options = new_job_folder(), option_values(context.scene)
        prompt = context.scene.image_to_mesh.prompt.strip()

        def request(backend: Backend) -> int:
            return backend.text_to_mesh(prompt, folder, options)

        return _new_task(context, folder, prompt, {"prompt": prompt}, request)


def _draw_menu(self, context) -> None:
    self.layout.separator()
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator(IMAGE_TO_MESH_OT_generate.bl_idname, icon="MESH_MONKEY")
    self.layout.operator(IMAGE_TO_MESH_OT_text_to_mesh.bl_idname, icon="TEXT")


_CLASSES = (IMAGE_TO_MESH_OT_generate, IMAGE_TO_MESH_OT_text_to_mesh)
_MENUS = ("VIEW3D_MT_mesh_add", "VIEW3D_MT_object", "IMAGE_MT_image")  # operator search (F3) searches menus


def register() -> None:
    for operator in _CLASSES:
        bpy.utils.register_class(operator)
    for menu in _MENUS:
        getattr(bpy.types, menu).append(_draw_menu)


def unregister() -> None:
    for menu in _MENUS:
        getattr(bpy.types, menu).remove(_draw_menu)
    for operator in reversed(_CLASSES):
        bpy.utils.unregister_class(operator)

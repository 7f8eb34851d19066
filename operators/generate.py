"""Image to Mesh and Text to Mesh: an image, or a text prompt, becomes an object in the scene."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend.expected_time import kind_of_job
from ..properties import option_values
from . import image_input
from .cutout_check import CutoutCheck
from .given_views import view_files
from .image_conversion import ImageConversion, needs_conversion
from .job_record import JobRecord
from .new_job import begin_job
from .paths import preferences
from .reconstruction import ReconstructionOperator, ReconstructionTask
from .task_operator import run_task
from .weights import has_text_model

AUTOMATIC = "auto"
"""The setting that takes whichever text-to-image model is installed."""


def new_task(
    context: bpy.types.Context,
    record: JobRecord,
    write_image: Callable[[Path], Path] | None = None,
    write_views: Callable[[Path], dict[str, str]] | None = None,
    check_cutout: str = "OFF",
    beside: bpy.types.Object | None = None,
) -> ReconstructionTask:
    """A task for a new object. ``write_image`` takes the job's folder and returns the image file, where there is one;
    ``write_views`` does so for further images, by side. ``check_cutout`` is as in the preferences. ``beside``: an
    object to stand beside, else at the 3D cursor.

    Raises UserError and OSError.
    """
    folder, record = begin_job(record, write_image, write_views)
    check = CutoutCheck(record, folder, goes_on=check_cutout == "PAUSE") if check_cutout != "OFF" else None
    return ReconstructionTask(
        context,
        folder,
        record.name,
        record.provenance(),
        record.request(folder),
        kind_of_job("text" if record.prompt else "image", record.options),
        camera=record.camera,
        check=check,
        beside=beside,
    )


def _image_task(
    context: bpy.types.Context, image: bpy.types.Image, write_image: Callable[[Path], Path], check_cutout: str
) -> ReconstructionTask:
    """A task with the scene's settings and further images."""
    settings, views = context.scene.image_to_mesh, context.scene.image_to_mesh_views
    record = JobRecord(image_input.object_name(image), option_values(context.scene), camera=settings.camera)
    return new_task(context, record, write_image, lambda folder: view_files(views, folder), check_cutout)


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
    def new_task(cls, context, check_cutout="OFF"):
        image = image_input.active_image(context)
        return _image_task(context, image, lambda folder: image_input.image_file(image, folder), check_cutout)

    def new_interactive_task(self, context):
        return self.new_task(context, preferences().check_cutout)

    def run(self, context, wait):
        image = image_input.active_image(context)
        if wait or not needs_conversion(image):
            return super().run(context, wait)

        def go_on(context: bpy.types.Context, path: Path) -> ReconstructionTask:
            return _image_task(
                context, image, lambda folder: Path(shutil.move(path, folder)), preferences().check_cutout
            )

        return run_task(self, ImageConversion(context, image, go_on), wait=False)


class IMAGE_TO_MESH_OT_text_to_mesh(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.text_to_mesh"
    bl_label = "Text to Mesh"
    bl_description = (
        "Generate an image from the prompt in the Text to Mesh panel, and turn it into a textured object at the "
        "3D cursor. Needs a text-to-image model"
    )

    @classmethod
    def blocked_reason(cls, context):
        if context.scene.image_to_mesh.text_model == AUTOMATIC and not has_text_model():
            return "Install a text-to-image model first: the Text to Mesh panel lists some"
        if not context.scene.image_to_mesh.prompt.strip():
            return "Enter a prompt in the Text to Mesh panel"
        return None

    @classmethod
    def new_task(cls, context):
        settings = context.scene.image_to_mesh
        prompt = settings.prompt.strip()
        record = JobRecord(prompt, option_values(context.scene), prompt=prompt, camera=settings.camera)
        return new_task(context, record)


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

"""Further images of the object, from other sides: the list that an artist fills, and its images as files."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from .image_input import image_file
from .view_properties import SIDES, ImageToMeshView


def side_of(view: ImageToMeshView) -> str:
    """The side as the backend takes it."""
    return f"{view.azimuth:g},{view.elevation:g}" if view.side == "ANGLE" else view.side


def view_files(views, folder: Path) -> dict[str, str]:
    """Image files by side of a list of further images; entries without an image do not count. ``folder`` is the job's.

    Raises UserError and OSError.
    """
    files: dict[str, str] = {}
    for view in views:
        if view.image is None:
            continue
        side = side_of(view)
        if side in files:
            raise UserError(
                ErrorCode.BAD_OPTION, f"Two images show the same side ({SIDES.get(side, side)}): change or remove one."
            )
        files[side] = str(image_file(view.image, folder, f"view {side}"))
    return files


class _ListOperator:
    """Mixin of an operator for the scene's list or, ``of_object``, for the active object's."""

    bl_options = {"INTERNAL", "UNDO"}

    of_object: bpy.props.BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        if not self.of_object:
            self.run(context.scene.image_to_mesh_views)
        elif context.active_object is not None:
            self.run(context.active_object.image_to_mesh_edits.views)
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_add_view(_ListOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.add_view"
    bl_label = "Add View"
    bl_description = "Add another image of the object, from another side, which it then shows as it is"

    def run(self, views):
        taken = {view.side for view in views}
        views.add().side = next((side for side in SIDES if side not in taken), "ANGLE")


class IMAGE_TO_MESH_OT_remove_view(_ListOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.remove_view"
    bl_label = "Remove View"
    bl_description = "Take this image out of the list; it stays in the file"

    index: bpy.props.IntProperty(name="Index", description="Which one, from 0", min=0, options={"SKIP_SAVE"})

    def run(self, views):
        views.remove(self.index)


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_add_view, IMAGE_TO_MESH_OT_remove_view))

"""A finished result goes into the scene, in an undo step of its own, which has the operator's name."""

from __future__ import annotations

import bpy

from . import placement
from .reconstruction import ReconstructionTask
from .reporting import log_unexpected, report_error
from .tasks import task_manager


class _PlacingOperator:
    """Mixin of an operator that puts the result of the last reconstruction where it belongs."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        task = task_manager().latest(ReconstructionTask)
        return task is not None and task.waits_for_scene

    def execute(self, context):
        task = task_manager().latest(ReconstructionTask)
        try:
            task.add_to_scene(context)
        except Exception as error:
            task.error = log_unexpected(error)
            return report_error(self, task.error)
        self.report({"INFO"}, f"{task.name}: done in {task.seconds:.0f} s")
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_add_result(_PlacingOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.add_result"
    bl_label = "Add Result to Scene"
    bl_description = "Add the object that was finished while another file was open"


class IMAGE_TO_MESH_OT_replace_mesh(_PlacingOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.replace_mesh"
    bl_label = "Remesh"  # what the undo history shows
    bl_description = "Give the object the mesh that was built anew for it"
    bl_options = {"INTERNAL", "UNDO"}


class IMAGE_TO_MESH_OT_place_rebuilt(_PlacingOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.place_rebuilt"
    bl_label = "Rebuild"  # what the undo history shows
    bl_description = "Give the object the mesh that was made of changed views"
    bl_options = {"INTERNAL", "UNDO"}


class IMAGE_TO_MESH_OT_frame_result(bpy.types.Operator):
    bl_idname = "image_to_mesh.frame_result"
    bl_label = "Frame"
    bl_description = "Turn the 3D View to the object that was made last; the selection stays"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return _last_object(context) is not None and _view(context) is not None

    def execute(self, context):
        placement.frame(_view(context), _last_object(context))
        return {"FINISHED"}


def _last_object(context) -> bpy.types.Object | None:
    task = task_manager().latest(ReconstructionTask)
    uid = task.object_uid if task is not None else 0
    return next((obj for obj in context.view_layer.objects if obj.session_uid == uid), None)


def _view(context) -> bpy.types.Area | None:
    """This 3D View, else the first one of the window."""
    areas = [context.area, *(context.window.screen.areas if context.window else ())]
    return next((area for area in areas if area is not None and area.type == "VIEW_3D"), None)


register, unregister = bpy.utils.register_classes_factory(
    (
        IMAGE_TO_MESH_OT_add_result,
        IMAGE_TO_MESH_OT_replace_mesh,
        IMAGE_TO_MESH_OT_place_rebuilt,
        IMAGE_TO_MESH_OT_frame_result,
    )
)

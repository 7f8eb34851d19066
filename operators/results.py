"""A finished result goes into the scene, in an undo step of its own, which has the operator's name."""

from __future__ import annotations

import bpy

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


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_add_result, IMAGE_TO_MESH_OT_replace_mesh))

"""A finished result goes into the scene, in an undo step of its own."""

from __future__ import annotations

import bpy

from .reconstruction import ReconstructionTask
from .reporting import log_unexpected, report_error
from .tasks import task_manager


class IMAGE_TO_MESH_OT_add_result(bpy.types.Operator):
    bl_idname = "image_to_mesh.add_result"
    bl_label = "Add Result to Scene"
    bl_description = "Add the object that was finished while another file was open"
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


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_add_result,))

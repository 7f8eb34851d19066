"""How an operator runs a task, and the one operator that cancels any of them."""

from __future__ import annotations

import bpy

from .background_task import BackgroundTask
from .reporting import report_error
from .tasks import task_manager


def run_task(operator: bpy.types.Operator, task: BackgroundTask, wait: bool) -> set[str]:
    """Start ``task``; what an operator returns.

    With ``wait`` (for scripts) it also waits for the end, printing the progress. Otherwise the manager's timer hands
    over the result. An error is a report of type ERROR, which Blender raises as RuntimeError in a script.
    """
    manager = task_manager()
    try:
        manager.start(task)
        if wait:
            manager.wait(task, lambda task: print(f"Image to Mesh: {task.fraction:4.0%}  {task.text}", flush=True))
            if task.error is not None:
                raise task.error
    except Exception as error:
        return report_error(operator, error)
    return {"FINISHED"}


class IMAGE_TO_MESH_OT_cancel(bpy.types.Operator):
    bl_idname = "image_to_mesh.cancel"
    bl_label = "Cancel"
    bl_description = "Stop this task and delete its incomplete files; a partial download is saved and can be resumed"
    bl_options = {"INTERNAL"}

    task: bpy.props.IntProperty(
        name="Task",
        description="The task to cancel; 0: every one, those that wait included",
        default=0,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        return task_manager().is_running()

    def execute(self, context):
        manager = task_manager()
        for task in manager.waiting():
            if self.task in (0, task.id):
                manager.remove(task)
        for task in manager:
            if not task.finished and self.task in (0, task.id):
                task.cancel()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_cancel,))

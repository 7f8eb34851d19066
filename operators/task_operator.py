"""How an operator runs a task, and the one operator that cancels any of them."""

from __future__ import annotations

import bpy

from .background_task import BackgroundTask
from .reporting import report_error
from .tasks import task_manager
from .ui import redraw_panels


def run_task(operator: bpy.types.Operator, task: BackgroundTask, wait: bool) -> set[str]:
    """Start ``task``; what an operator returns.

    With ``wait`` (for scripts) it also waits for the end, printing the progress. Otherwise the manager's timer hands
    over the result. An error is a report of type ERROR, which Blender raises as RuntimeError in a script.
    """
    manager = task_manager()
    task.started_by = operator.bl_idname, operator.as_keywords()
    try:
        manager.start(task)
        if wait:
            manager.wait(task, print_progress)
            if task.error is not None:
                raise task.error
    except Exception as error:
        return report_error(operator, error)
    return {"FINISHED"}


def print_progress(task: BackgroundTask) -> None:
    """How far a task is that a script waits for."""
    print(f"Image to Mesh: {task.fraction:4.0%}  {task.text}", flush=True)


class IMAGE_TO_MESH_OT_free_memory(bpy.types.Operator):
    bl_idname = "image_to_mesh.free_memory"
    bl_label = "Free Memory Now"
    bl_description = "End the backend process that keeps the networks in memory for the next job"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        manager = task_manager()
        if manager.is_running():
            cls.poll_message_set("Image to Mesh is running")
        elif not manager.has_backends():
            cls.poll_message_set("No memory is in use")
        return manager.has_backends() and not manager.is_running()

    def execute(self, context):
        task_manager().close_backends()
        redraw_panels()
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_clear_failures(bpy.types.Operator):
    bl_idname = "image_to_mesh.clear_failures"
    bl_label = "Clear"
    bl_description = "Clear the list of image files that failed"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        task_manager().failures.clear()
        redraw_panels()
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


register, unregister = bpy.utils.register_classes_factory(
    (IMAGE_TO_MESH_OT_free_memory, IMAGE_TO_MESH_OT_clear_failures, IMAGE_TO_MESH_OT_cancel)
)

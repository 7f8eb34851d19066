"""What can be done with the jobs that the panel lists: add to the scene, generate again, open the folder, delete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from . import scene
from .generate import new_task
from .job_folders import job_folder
from .job_list import Job, delete_job, invalidate, listed_jobs
from .job_record import JobRecord
from .reconstruction import ReconstructionOperator, ReconstructionTask
from .reporting import report_error
from .tasks import task_manager

PAGE = 5
"""Jobs listed at a time."""
_MAX_SEED = 2**31 - 1


def idle_jobs() -> list[Job]:
    """The listed jobs that neither run nor wait in this Blender."""
    manager = task_manager()
    tasks = [*manager.waiting(), *(task for task in manager if not task.finished)]
    active = {task.folder for task in tasks if isinstance(task, ReconstructionTask)}
    return [job for job in listed_jobs() if job.folder not in active]


def _find_idle(name: str) -> Job:
    """The one of ``idle_jobs`` whose folder has this name. Raises UserError."""
    job = next((job for job in idle_jobs() if job.folder.name == name), None)
    if job is None or not job.folder.is_dir():
        invalidate()
        raise UserError(ErrorCode.BAD_RESULT, "This result is no longer on this computer: generate it again.")
    return job


class _JobOperator:
    """Mixin of an operator for one listed job."""

    bl_options = {"INTERNAL"}

    job: bpy.props.StringProperty(name="Job", description="Name of the job's folder", options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        try:
            self.run(context, _find_idle(self.job))
        except Exception as error:
            return report_error(self, error)
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_add_saved_result(_JobOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.add_saved_result"
    bl_label = "Add Saved Result"
    bl_description = "Add this object to the scene, at the 3D cursor"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context, job):
        scene.add_object(context, job.folder, job.record.name, job.provenance, job.record.camera)


class IMAGE_TO_MESH_OT_open_job_folder(_JobOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.open_job_folder"
    bl_label = "Open Folder"
    bl_description = "Show this result's files: the mesh as GLB, its texture, the generated views"

    def run(self, context, job):
        bpy.ops.wm.path_open(filepath=str(job.folder))


class IMAGE_TO_MESH_OT_delete_result(_JobOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.delete_result"
    bl_label = "Delete Result"
    bl_description = "Delete this result's files. Objects in scenes stay, but can no longer be remeshed"

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        users = [obj.name for obj in bpy.data.objects if (folder := job_folder(obj)) and folder.name == self.job]
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Delete this result's files?",
            message=f"“{users[0]}” can then no longer be remeshed." if users else "No object of this file uses it.",
            confirm_text="Delete",
        )

    def run(self, context, job):
        delete_job(job)


class IMAGE_TO_MESH_OT_show_results(bpy.types.Operator):
    bl_idname = "image_to_mesh.show_results"
    bl_label = "More Results"
    bl_description = "Show newer or older results"
    bl_options = {"INTERNAL"}

    first: bpy.props.IntProperty(name="First", description="The first result to show", min=0, options={"SKIP_SAVE"})

    def execute(self, context):
        context.window_manager.image_to_mesh_first_result = min(self.first, max(0, len(listed_jobs()) - 1))
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_generate_again(ReconstructionOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.generate_again"
    bl_label = "Generate Again"
    bl_description = "Make another object from the same image or prompt, with the settings that this one was made with"

    job: bpy.props.StringProperty(
        name="Job",
        description="Name of the job's folder; empty: the one that the active object was made by",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Another seed makes another back; the same one the same object. -1: the next seed",
        default=-1,
        min=-1,
        max=_MAX_SEED,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def blocked_reason(cls, context):
        return None

    def invoke(self, context, event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            job = self._job(context)
        except UserError as error:
            return report_error(self, error)
        self.job, self.seed = job.folder.name, next_seed(job.record.options)
        return context.window_manager.invoke_props_dialog(
            self, title=f"Generate “{job.record.name}” Again", confirm_text="Generate"
        )

    def execute(self, context):
        return self.run(context, wait=bpy.app.background or context.window is None)

    def new_task(self, context):
        record = self._job(context).record
        seed = next_seed(record.options) if self.seed < 0 else self.seed
        return repeated_task(context, replace(record, options=record.options | {"seed": seed}))

    def _job(self, context):
        folder = job_folder(context.active_object) if not self.job and context.active_object else None
        return _find_idle(self.job or (folder.name if folder else ""))


def repeated_task(context, record: JobRecord, beside: bpy.types.Object | None = None) -> ReconstructionTask:
    """A task for another object from the same image or prompt. Raises UserError."""
    if not record.prompt and not Path(record.image).is_file():
        raise UserError(
            ErrorCode.BAD_IMAGE, f"The image “{record.image}” is missing: put it back, or choose another one."
        )
    return new_task(context, record, beside=beside)


def next_seed(options: dict) -> int:
    """The seed after that of ``options``."""
    return min(int(options.get("seed", 0)) + 1, _MAX_SEED)


_CLASSES = (
    IMAGE_TO_MESH_OT_add_saved_result,
    IMAGE_TO_MESH_OT_open_job_folder,
    IMAGE_TO_MESH_OT_delete_result,
    IMAGE_TO_MESH_OT_show_results,
    IMAGE_TO_MESH_OT_generate_again,
)


def register() -> None:
    for operator in _CLASSES:
        bpy.utils.register_class(operator)
    bpy.types.WindowManager.image_to_mesh_first_result = bpy.props.IntProperty(options={"SKIP_SAVE"})


def unregister() -> None:
    del bpy.types.WindowManager.image_to_mesh_first_result
    for operator in reversed(_CLASSES):
        bpy.utils.unregister_class(operator)

"""A job of the backend whose result is a mesh, and what the operators that start such jobs have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from . import scene
from .backend_task import BackendTask
from .job_folders import job_folder
from .reporting import report_error
from .task_operator import run_task
from .tasks import task_manager


def described(options: dict) -> dict:
    """Options for an object's custom property: weights that are a folder by its name, since its path is private."""
    return {key: Path(value).name if isinstance(value, str) else value for key, value in options.items()}


class ReconstructionTask(BackendTask):
    """From a request to the backend to the moment its result stands in a scene."""

    label = "Image to Mesh"
    idle_timeout = 300.0  # the networks stay in memory for the next job

    def __init__(
        self,
        context: bpy.types.Context,
        folder: Path,
        name: str,
        provenance: dict,
        request: Callable[[Backend], int],
        target: str | None = None,
        camera: bool = False,
    ):
        """``request`` asks a backend for a result in ``folder``.

        ``provenance`` (texts and numbers) is for the object's custom property. ``target`` names the object that gets a
        new mesh; None makes a new object, called ``name``. ``camera`` asks for a matching camera.
        """
        super().__init__(request)
        self.folder, self.name, self.provenance = folder, name, provenance
        self.target, self.camera = target, camera
        self.added = False
        """Whether the result stands in a scene."""
        self._scene_uid = context.scene.session_uid
        self._window = context.window.as_pointer() if context.window else 0

    @property
    def waits_for_scene(self) -> bool:
        """Ended well, but not in a scene, because another file was opened meanwhile."""
        return self.finished and self.error is None and not self.added

    def deliver(self) -> None:
        """Add the result to the scene in an undo step of its own, if the file in which the job began is still open."""
        if self._scene_uid not in (open_scene.session_uid for open_scene in bpy.data.scenes):
            return
        if self.target is not None and self._target_object() is None:
            raise UserError(
                ErrorCode.OBJECT_GONE, f"“{self.target}” no longer exists: undo its deletion, then remesh it again."
            )
        try:
            with bpy.context.temp_override(**self._override()):
                bpy.ops.image_to_mesh.add_result("EXEC_DEFAULT", True)
        except RuntimeError:
            if self.error is None:  # else the operator has said why
                raise

    def clean_up(self) -> None:
        """Delete what there is of a new object that failed; the files of an earlier one stay."""
        if not self.succeeded and self.target is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add_to_scene(self, context: bpy.types.Context) -> None:
        """Put the result into the scene, or into the object that it is for. Raises UserError."""
        obj = self._target_object()
        if obj is None:
            scene.add_object(context, self.folder, self.name, self.provenance, self.camera)
        else:
            scene.replace_mesh(obj, self.folder, self.provenance)
        self.added = True

    def _target_object(self) -> bpy.types.Object | None:
        """The object that gets a new mesh. One of the same name in another file is not meant."""
        obj = bpy.data.objects.get(self.target) if self.target is not None else None
        is_meant = obj is not None and obj.type == "MESH" and job_folder(obj) == self.folder
        return obj if is_meant else None

    def _override(self) -> dict:
        """The window in which the job was started, or another one; nothing where there are no windows."""
        windows = list(bpy.context.window_manager.windows)
        if bpy.app.background or not windows:
            return {}
        return {"window": next((window for window in windows if window.as_pointer() == self._window), windows[0])}


class ReconstructionOperator:
    """Mixin of an operator that starts a reconstruction: a window does not wait for its end, a script does."""

    @classmethod
    def poll(cls, context):
        """Whether it can start now; says why not."""
        is_running = task_manager().running(ReconstructionTask) is not None
        reason = "Image to Mesh is already running" if is_running else cls.blocked_reason(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    @classmethod
    def blocked_reason(cls, context) -> str | None:
        """What a person has to do first, in a sentence; None: nothing."""
        raise NotImplementedError

    @classmethod
    def new_task(cls, context) -> ReconstructionTask:
        """What is to be run. Raises UserError."""
        raise NotImplementedError

    def execute(self, context):
        return self._run(context, wait=True)

    def invoke(self, context, event):
        return self._run(context, wait=context.window is None or bpy.app.background)

    def _run(self, context, wait: bool):
        try:
            task = self.new_task(context)
        except Exception as error:
            return report_error(self, error)
        return run_task(self, task, wait)

"""A job of the backend whose result is a mesh, and what the operators that start such jobs have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from ..backend.expected_time import ExpectedTime
from . import image_input, job_list, mask_painting, scene
from .backend_task import BackendTask
from .cutout_check import CutoutCheck
from .image_conversion import ImageConversion
from .job_folders import job_folder
from .job_record import write_record
from .paths import preferences, times_file
from .reporting import log_unexpected, report_error, show_error
from .task_operator import run_task
from .tasks import task_manager

_STROKES = ("TRANSFORM_OT_", "MESH_OT_", "CURVE_OT_", "PAINT_OT_", "SCULPT_OT_")
"""Beginnings of the names of modal operators that change the scene as long as they run."""


class ReconstructionTask(BackendTask):
    """From a request to the backend to the moment its result stands in a scene."""

    label = "Image to Mesh"

    def __init__(
        self,
        context: bpy.types.Context,
        folder: Path,
        name: str,
        provenance: dict,
        request: Callable[[Backend], int],
        kind: str,
        target: bpy.types.Object | None = None,
        camera: bool = False,
        check: CutoutCheck | None = None,
        rebuilt_from: Path | None = None,
        beside: bpy.types.Object | None = None,
    ):
        """``request`` asks a backend for a result in ``folder``; with ``check`` it is sent when that is over, as its
        record then says. ``kind`` is that of ``backend.expected_time.kind_of_job``.

        ``rebuilt_from``: the folder of the job by which ``target`` was made, where that is another one.
        ``provenance`` (texts and numbers) is for the object's custom property. ``target`` is the object that gets a
        new mesh; None makes a new object, called ``name``, at the 3D cursor or ``beside`` another one. ``camera`` asks
        for a matching camera.
        """
        super().__init__(request if check is None else check.request())
        self.check = check
        """The look at the cutout before the job goes on; None: it goes on at once."""
        self.subject = self.name = name
        self.folder, self.provenance = folder, provenance
        self.inputs = image_input.inputs(context)
        """What the panel had when it began; with anything else there, the error of this task is of no interest."""
        self.object_uid = 0
        """The ``session_uid`` of the object in the scene."""
        self.expected_time = ExpectedTime(times_file(), kind)
        self.camera = camera
        self.added = False
        """Whether the result stands in a scene."""
        self._has_gone_on = False
        """Whether the check is over and the result was requested."""
        self._interrupted = False
        self._rebuilt_from = rebuilt_from
        self._target_uid = target.session_uid if target is not None else None
        self._beside_uid = beside.session_uid if beside is not None else None
        self._scene_uid = context.scene.session_uid
        self._window = context.window.as_pointer() if context.window else 0

    @classmethod
    def idle_timeout(cls) -> float:
        """The networks stay in memory for the next job."""
        return 60.0 * preferences().idle_minutes

    @property
    def poll_interval(self) -> float:
        """Shorter while somebody waits for the cutout to be shown."""
        is_awaited = self.check is not None and (self.check.preview is None or self.check.is_draft)
        return 0.03 if is_awaited and not self._has_gone_on else super().poll_interval

    @property
    def waits_for_scene(self) -> bool:
        """Ended well, but not in a scene, because another file was opened meanwhile."""
        return self.finished and self.error is None and not self.added

    def receive(self, result: dict) -> None:
        if self.check is None or self._has_gone_on:
            super().receive(result)
            if self.expected_time is not None:
                self.expected_time.remember()
            return
        self.check.show(result)
        self.preview = None  # it was a draft, and is gone
        self.text = "Check the cutout" if self.check.found else self.check.warnings[0]
        if not self.check.found:
            show_error(UserError(ErrorCode.NO_OBJECT, self.text))
        if self.backend is not None and not self.cancelling:
            # Meanwhile the networks are loaded; what is wrong with them, the job will say.
            self.backend.load(self.check.record.options)

    def cut_out_again(self, method: str) -> None:
        """Show the cutout of another method instead. Raises UserError."""
        assert self.check is not None
        self.check.choose(method)
        self.preview = None
        self.text = "Cutting out the object"
        self.send(self.check.request())

    def _check_cutout(self, check: CutoutCheck) -> None:
        """End the job or go on with it, if that has been decided."""
        if self.cancelling and not check.is_draft:  # else the backend ends it
            self.error, self.finished = UserError(ErrorCode.CANCELLED, "Cancelled."), True
            return
        check.update()
        if not check.is_over:
            return
        self._has_gone_on, self.preview = True, None
        self.started += check.seconds_shown  # "done in" tells how long the computer took
        try:
            write_record(self.folder, check.record)
            self.provenance = check.record.provenance()
            self.send(check.record.request(self.folder))
        except Exception as error:
            self.error, self.finished = log_unexpected(error), True

    def poll(self) -> None:
        super().poll()
        if self.check is not None and not self._has_gone_on and not self.finished:
            if self.preview is not None and self.check.preview is None:
                self.check.show_draft(self.preview)
            if self.check.preview is not None:
                self._check_cutout(self.check)
        if self.succeeded and self.cancelling:  # what is there already stays in the list of results
            self.error, self.finished = UserError(ErrorCode.CANCELLED, "Cancelled."), True
        elif self.succeeded:
            self.finished = not self._is_inconvenient()

    def deliver(self) -> None:
        """Add the result to the scene in an undo step of its own, if the file in which the job began is still open."""
        window_and_scene = self._window_and_scene()
        if window_and_scene is None:
            return
        if self._target_uid is not None and self._target() is None:
            raise UserError(
                ErrorCode.OBJECT_GONE, f"“{self.name}” no longer exists: undo its deletion, then remesh it again."
            )
        operators = bpy.ops.image_to_mesh
        place = operators.replace_mesh if self._rebuilt_from is None else operators.place_rebuilt
        if self._target_uid is None:
            place = operators.add_result
        try:
            with bpy.context.temp_override(**window_and_scene):
                place("EXEC_DEFAULT", True)
        except RuntimeError:
            if self.error is None:  # else the operator has said why
                raise

    def clean_up(self) -> None:
        """Delete what there is of a new object that failed; the files of an earlier one stay, and so does the record of
        one that was interrupted."""
        if self.check is not None:
            mask_painting.end(self.check)
        is_new = self._target_uid is None or self._rebuilt_from is not None
        if not self.succeeded and is_new and not self._interrupted:
            shutil.rmtree(self.folder, ignore_errors=True)
        job_list.invalidate()

    def stop(self) -> None:
        self._interrupted = True
        super().stop()

    def add_to_scene(self, context: bpy.types.Context) -> None:
        """Put the result into the scene, or into the object that it is for. Raises UserError."""
        obj = self._target()
        if obj is None:
            beside = _object(self._beside_uid)
            obj = scene.add_object(context, self.folder, self.name, self.provenance, self.camera, beside)
        else:
            scene.replace_mesh(obj, self.folder, self.provenance)
        self.added, self.object_uid = True, obj.session_uid

    def _target(self) -> bpy.types.Object | None:
        """The object that gets a new mesh, whatever it is called by now."""
        obj = _object(self._target_uid)
        is_meant = obj is not None and obj.type == "MESH" and job_folder(obj) == (self._rebuilt_from or self.folder)
        return obj if is_meant else None

    def _is_inconvenient(self) -> bool:
        """Whether the artist is in the middle of a movement or stroke, whose undo step a result must not tear apart, or
        of another mode on the very object that gets a new mesh."""
        target = self._target()
        if target is not None and target.mode != "OBJECT":
            self.text = "Waiting for Object Mode"
            return True
        windows = bpy.context.window_manager.windows
        return any(operator.bl_idname.startswith(_STROKES) for window in windows for operator in window.modal_operators)

    def _window_and_scene(self) -> dict | None:
        """What the context needs to be for the scene in which the job began: its window, another one that shows the
        scene, or the scene alone. None: the scene is not in the open file."""
        meant = next((candidate for candidate in bpy.data.scenes if candidate.session_uid == self._scene_uid), None)
        if meant is None:
            return None
        windows = list(bpy.context.window_manager.windows)
        windows.sort(key=lambda window: (window.scene != meant, window.as_pointer() != self._window))
        if windows and windows[0].scene == meant:
            return {} if bpy.app.background else {"window": windows[0]}
        return {"window": windows[0] if windows else None, "scene": meant, "view_layer": meant.view_layers[0]}


def _object(uid: int | None) -> bpy.types.Object | None:
    """The object of this ``session_uid``, whatever it is called by now."""
    return next((obj for obj in bpy.data.objects if obj.session_uid == uid), None)


class ReconstructionOperator:
    """Mixin of an operator that starts a reconstruction: a window does not wait for its end, a script does."""

    @classmethod
    def poll(cls, context):
        """Whether it can start now; says why not."""
        running = task_manager().running
        is_running = running(ReconstructionTask) is not None or running(ImageConversion) is not None
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

    def new_interactive_task(self, context) -> ReconstructionTask:
        """The same where somebody is there to be asked."""
        return self.new_task(context)

    def execute(self, context):
        return self.run(context, wait=True)

    def invoke(self, context, event):
        return self.run(context, wait=context.window is None or bpy.app.background)

    def run(self, context, wait: bool):
        try:
            task = self.new_task(context) if wait else self.new_interactive_task(context)
        except Exception as error:
            return report_error(self, error)
        return run_task(self, task, wait)

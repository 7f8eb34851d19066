"""How an operator accompanies a job: in a window without blocking it, from a script until the job has ended."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import bpy

from ..backend.client import Backend
from ..backend.errors import UserError, to_user_error
from . import job as jobs
from . import setup
from .paths import log_file


class FollowsJob:
    """Mixin of an operator that starts a job and puts its result into the scene.

    In a window it runs modally: progress in the status bar, Esc cancels, everything else reaches Blender. From a script
    ``execute`` blocks, prints progress, and a failure is a report of type ERROR, which Blender raises as RuntimeError.
    """

    @classmethod
    def poll(cls, context):
        """Whether it can start now; says why not."""
        obstacle = "Image to Mesh is already at work" if jobs.is_running() else cls.obstacle(context)
        if obstacle:
            cls.poll_message_set(obstacle)
        return not obstacle

    @classmethod
    def obstacle(cls, context) -> str | None:
        """What a person has to do first, in a sentence; None: nothing."""
        raise NotImplementedError

    @classmethod
    def job(cls, context) -> jobs.Job:
        """A new job. Raises UserError."""
        raise NotImplementedError

    @classmethod
    def request(cls, context, job: jobs.Job) -> Callable[[Backend], int]:
        """What asks a backend for the job; the files that it needs are made. Raises UserError."""
        raise NotImplementedError

    @classmethod
    def start(cls, context) -> jobs.Job:
        """Start the job. Raises UserError; then nothing of it stays."""
        python, variables = setup.backend()
        job = cls.job(context)
        try:
            jobs.start(job, cls.request(context, job), python, log_file(), variables)
        except Exception:
            job.discard()
            raise
        return job

    def finish(self, context, job: jobs.Job) -> None:
        """Put the result into the scene. Raises UserError."""
        raise NotImplementedError

    def execute(self, context):
        try:
            job = self.start(context)
            jobs.wait(job, lambda job: print(f"Image to Mesh: {job.fraction:4.0%}  {job.text}", flush=True))
            return self._end(context, job)
        except Exception as error:
            return self._refuse(error)

    def invoke(self, context, event):
        if context.window is None or bpy.app.background:
            return self.execute(context)
        try:
            self._job = self.start(context)
        except Exception as error:
            return self._refuse(error)
        self._timer = context.window_manager.event_timer_add(jobs.TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        job = self._job
        if event.type == "ESC" and event.value == "PRESS":
            jobs.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        if not job.finished:
            context.workspace.status_text_set(f"Image to Mesh: {job.fraction:.0%}  {job.text}   (Esc: Cancel)")
            return {"PASS_THROUGH"}
        self.cancel(context)
        try:
            if job.error is not None:
                raise job.error
            return self._end(context, job)
        except Exception as error:
            return self._refuse(error)

    def cancel(self, context) -> None:
        """Blender calls this when the window or the file goes away: the job goes on, its result can be added later."""
        context.window_manager.event_timer_remove(self._timer)
        for workspace in bpy.data.workspaces:
            workspace.status_text_set(None)

    def _end(self, context, job: jobs.Job):
        self.finish(context, job)
        job.placed = True
        return {"FINISHED"}

    def _refuse(self, error: Exception):
        """Report one sentence; what nobody foresaw goes to the log with its traceback."""
        if not isinstance(error, UserError):
            with open(log_file(), "a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
        told = to_user_error(error, str(log_file()))
        self.report({"INFO" if told.code == "cancelled" and not bpy.app.background else "ERROR"}, str(told))
        return {"CANCELLED"}

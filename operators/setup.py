"""Install or repair the backend's own Python environment. A thread waits for it, Blender never does."""

from __future__ import annotations

import threading
from pathlib import Path

import bpy

from ..backend import environment
from ..backend.errors import Cancelled, UserError, to_user_error
from ..backend.progress import ProgressEvent
from . import backend_location
from .backend_location import data_home, may_go_online
from .background_task import BackgroundTask
from .paths import log_file
from .task_operator import run_task
from .tasks import task_manager

STOP_TIMEOUT = 5.0
"""Seconds for an installation to clean up when Blender quits."""


class InstallTask(BackgroundTask):
    """An installation, in a thread that knows no bpy: it only sets values that ``poll`` takes over."""

    label = "Install Backend"

    def __init__(self, home: Path | None, repair: bool):
        super().__init__()
        self._thread = threading.Thread(target=self._run, args=(home, repair), daemon=True)
        self._progress = self.text, self.fraction
        self._failure: UserError | None = None

    def start(self, manager) -> None:
        manager.close_backends()  # one may be running from what is repaired
        self._thread.start()

    def poll(self) -> None:
        text, self.fraction = self._progress
        self.text = "Cancelling" if self.cancelling else text
        if not self._thread.is_alive():
            self.error, self.finished = self._failure, True

    def clean_up(self) -> None:
        backend_location.refresh()

    def stop(self) -> None:
        self.cancel()
        self._thread.join(STOP_TIMEOUT)

    def _run(self, home: Path | None, repair: bool) -> None:
        try:
            if repair:
                environment.remove(home)
            environment.ensure(self._listen, home)
        except Exception as error:
            self._failure = to_user_error(error, None)

    def _listen(self, event: ProgressEvent) -> None:
        if self.cancelling:
            raise Cancelled
        self._progress = f"{event.text}: {event.detail}" if event.detail else event.text, event.fraction


class IMAGE_TO_MESH_OT_install(bpy.types.Operator):
    bl_idname = "image_to_mesh.install"
    bl_label = "Install Backend"
    bl_description = (
        "Download the Python packages that do the work (several hundred megabytes, more for a graphics card) "
        "into a separate folder. Blender's own Python is not changed"
    )
    bl_options = {"INTERNAL"}

    repair: bpy.props.BoolProperty(
        name="Repair", description="Delete what is installed and install it again", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if task_manager().is_running():
            cls.poll_message_set("Image to Mesh is already running")
            return False
        return may_go_online(cls)

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=self.bl_label,
            message=f"Python packages will be downloaded into {environment.environment_folder(data_home())}.",
            confirm_text="Repair" if self.repair else "Install",
        )

    def execute(self, context):
        return run_task(self, InstallTask(data_home(), self.repair), wait=bpy.app.background)


class IMAGE_TO_MESH_OT_open_log(bpy.types.Operator):
    bl_idname = "image_to_mesh.open_log"
    bl_label = "Open Log"
    bl_description = "Open the log with the details of the last error"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        logs = [Path(task.error.log) for task in task_manager() if task.error is not None and task.error.log]
        log = logs[-1] if logs else log_file()
        if not log.is_file():
            self.report({"INFO"}, "There is no log yet")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(log))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_install, IMAGE_TO_MESH_OT_open_log))

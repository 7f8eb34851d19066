"""What mends an error: one button beside its sentence, and the report for somebody who can help."""

from __future__ import annotations

import platform
from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from ..backend.version import VERSION
from .background_task import BackgroundTask
from .paths import PACKAGE, log_file
from .tasks import task_manager

_INSTALL = {ErrorCode.NO_BACKEND}
_REPAIR = {ErrorCode.ENVIRONMENT_BROKEN}
_CHOOSE_WEIGHTS = {
    ErrorCode.LICENSE_NOT_ACCEPTED,
    ErrorCode.NO_TEXT_MODEL,
    ErrorCode.WEIGHTS,
    ErrorCode.WEIGHTS_BROKEN,
    ErrorCode.WEIGHTS_MISMATCH,
    ErrorCode.WEIGHTS_MISSING,
    ErrorCode.WEIGHTS_REFUSED,
    ErrorCode.WEIGHTS_THERE,
    ErrorCode.WEIGHTS_UNKNOWN,
}
_PREFERENCES = {
    ErrorCode.DISK_FULL,
    ErrorCode.NO_DEVICE,
    ErrorCode.NO_HOME,
    ErrorCode.NO_PERMISSION,
}
_REPORT = {
    ErrorCode.BAD_PLATFORM,
    ErrorCode.BAD_PYTHON,
    ErrorCode.BAD_REQUEST,
    ErrorCode.INTERNAL,
    ErrorCode.VERSION_MISMATCH,
}
_LOG_LINES = 40
"""The last lines of the log in a report."""


def draw_remedy(layout: bpy.types.UILayout, error: UserError, task: BackgroundTask | None) -> None:
    """The one button that mends ``error``, of ``task`` if it is a task's: most are worth another try."""
    if error.code in _INSTALL | _REPAIR:
        repair = error.code in _REPAIR
        text = "Repair Backend" if repair else "Install Backend"
        layout.operator("image_to_mesh.install", text=text, icon="IMPORT").repair = repair
    elif error.code in _CHOOSE_WEIGHTS and not _is_of_weights(task):
        layout.operator("image_to_mesh.open_preferences", text="Choose Weights", icon="PREFERENCES")
    elif error.code in _PREFERENCES:
        layout.operator("image_to_mesh.open_preferences", icon="PREFERENCES")
    elif error.code in _REPORT or task is None or task.started_by is None:
        layout.operator("image_to_mesh.copy_report", icon="COPYDOWN")
    else:
        operator, values = task.started_by
        properties = layout.operator(operator, text="Retry", icon="FILE_REFRESH")
        for name, value in values.items():
            setattr(properties, name, value)


def _is_of_weights(task: BackgroundTask | None) -> bool:
    """Whether the list of weights, where its error is shown, is what it came from."""
    return task is not None and task.started_by is not None and task.started_by[0].endswith("_weights")


class IMAGE_TO_MESH_OT_open_preferences(bpy.types.Operator):
    bl_idname = "image_to_mesh.open_preferences"
    bl_label = "Open Preferences"
    bl_description = "Show the extension's preferences: data folder, device, memory, and the list of weights"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        return bpy.ops.preferences.addon_show(module=PACKAGE)


class IMAGE_TO_MESH_OT_open_log(bpy.types.Operator):
    bl_idname = "image_to_mesh.open_log"
    bl_label = "Open Log"
    bl_description = "Open the log with the details of the last error"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        log = _last_log()
        if not log.is_file():
            self.report({"INFO"}, "There is no log yet")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(log))
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_copy_report(bpy.types.Operator):
    bl_idname = "image_to_mesh.copy_report"
    bl_label = "Copy Report"
    bl_description = (
        "Copy the last error, the end of its log and the versions of everything to the clipboard, for somebody who "
        "can help. Your home folder appears as ~"
    )
    bl_options = {"INTERNAL"}

    def execute(self, context):
        context.window_manager.clipboard = report()
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


def report() -> str:
    """Versions, the last error and the end of its log, without the name of the user's home folder."""
    errors = [str(task.error) for task in task_manager() if task.error is not None]
    log = _last_log()
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:] if log.is_file() else []
    text = "\n".join(
        [
            f"Image to Mesh {VERSION}, Blender {bpy.app.version_string}, Python {platform.python_version()}",
            platform.platform(),
            f"Error: {errors[-1] if errors else 'none'}",
            f"End of {log}:",
            *lines,
        ]
    )
    return text.replace(str(Path.home()), "~")


def _last_log() -> Path:
    """The log that the last error names, else the backend's."""
    logs = [Path(task.error.log) for task in task_manager() if task.error is not None and task.error.log]
    return logs[-1] if logs else log_file()


register, unregister = bpy.utils.register_classes_factory(
    (IMAGE_TO_MESH_OT_open_preferences, IMAGE_TO_MESH_OT_open_log, IMAGE_TO_MESH_OT_copy_report)
)

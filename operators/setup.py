"""Install or repair the backend's own Python environment. A thread waits for it, Blender never does."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

import bpy

from ..backend import environment
from ..backend.errors import Cancelled, ErrorCode, UserError, to_user_error
from ..backend.progress import ProgressEvent
from . import errand
from . import job as jobs
from .paths import log_file, preferences


class Setup:
    """An installation in a thread of its own, which knows no bpy: it only sets the values below."""

    def __init__(self, base: Path | None, repair: bool):
        self.text = "Starting"
        self.fraction = 0.0
        self.error: UserError | None = None
        self.finished = False
        self._stop = False
        self._thread = threading.Thread(target=self._run, args=(base, repair), name="image-to-mesh setup", daemon=True)
        self._thread.start()

    def _run(self, base: Path | None, repair: bool) -> None:
        try:
            if repair:
                environment.remove(base)
            environment.ensure(self._report, base)
        except Exception as error:
            self.error = to_user_error(error, None)
        self.finished = True

    def _report(self, event: ProgressEvent) -> None:
        if self._stop:
            raise Cancelled
        self.text, self.fraction = f"{event.text}: {event.detail}" if event.detail else event.text, event.fraction

    def cancel(self) -> None:
        """Ask it to stop, which it does within about a second; nothing half made stays."""
        self._stop, self.text = True, "Cancelling"

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)


current: Setup | None = None
"""The running or the last installation."""
_ready: bool | None = None


def is_running() -> bool:
    return current is not None and not current.finished


def is_ready() -> bool:
    """Whether there is a backend to start, as far as was known at the last look: panels ask this with every redraw."""
    if _ready is None:
        look()
    return _ready


def look() -> None:
    """Find out whether there is a backend to start."""
    global _ready
    try:
        backend()
        _ready = True
    except UserError:
        _ready = False


def backend() -> tuple[Path, dict[str, str]]:
    """The Python that runs the backend, and variables for it. Raises UserError (``no_backend``)."""
    settings = preferences()
    folder = home()
    variables = {"IMAGE_TO_MESH_HOME": str(folder)} if folder and "IMAGE_TO_MESH_HOME" not in os.environ else {}
    if settings.python:
        python = Path(bpy.path.abspath(settings.python))
        if not python.is_file():
            raise UserError(
                ErrorCode.NO_BACKEND, f"There is no Python at {python}: correct it in the extension's preferences."
            )
        return python, variables
    python = environment.python_path(folder)
    if python is None:
        raise UserError(
            ErrorCode.NO_BACKEND,
            "The backend is not installed yet: press Install in the Image to Mesh panel, "
            "or run “python3 -m backend setup”.",
        )
    return python, variables


def home() -> Path | None:
    """The data folder chosen in the preferences; None: the usual place."""
    chosen = preferences().home
    return Path(bpy.path.abspath(chosen)) if chosen else None


def may_go_online(operator: type[bpy.types.Operator]) -> bool:
    """Whether the user lets Blender use the network; for an operator's ``poll``, which then says why not."""
    if not bpy.app.online_access:
        operator.poll_message_set(
            "Blender was started offline: start it without --offline-mode"
            if bpy.app.online_access_override
            else "Allow Online Access in Preferences, System, first"
        )
    return bpy.app.online_access


class IMAGE_TO_MESH_OT_install(bpy.types.Operator):
    bl_idname = "image_to_mesh.install"
    bl_label = "Install Backend"
    bl_description = (
        "Download the Python packages that do the work (several hundred megabytes, more for a graphics card) "
        "into a folder of their own. Blender's own Python is not changed"
    )
    bl_options = {"INTERNAL"}

    repair: bpy.props.BoolProperty(
        name="Repair", description="Delete what is installed and install it anew", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if is_running() or jobs.is_running():
            cls.poll_message_set("Image to Mesh is at work")
            return False
        return may_go_online(cls)

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=self.bl_label,
            message=f"Python packages are downloaded into {environment.environment_folder(home())}.",
            confirm_text="Repair" if self.repair else "Install",
        )

    def execute(self, context):
        global current
        jobs.close()  # it may be running from what is repaired
        current = Setup(home(), self.repair)
        return errand.accompany(self, current, look)


class IMAGE_TO_MESH_OT_cancel_install(bpy.types.Operator):
    bl_idname = "image_to_mesh.cancel_install"
    bl_label = "Cancel"
    bl_description = "Stop installing; nothing half made stays"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return is_running()

    def execute(self, context):
        current.cancel()
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_open_log(bpy.types.Operator):
    bl_idname = "image_to_mesh.open_log"
    bl_label = "Open Log"
    bl_description = "Open the log of what went wrong"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        error = next((each.error for each in (current, jobs.current) if each is not None and each.error), None)
        log = Path(error.log) if error is not None and error.log else log_file()
        if not log.is_file():
            self.report({"INFO"}, "There is no log yet")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(log))
        return {"FINISHED"}


def _end() -> None:
    """Blender quits or the extension is disabled: an installation does not outlive it."""
    if is_running():
        current.cancel()
        current.wait(5.0)


_CLASSES = (IMAGE_TO_MESH_OT_install, IMAGE_TO_MESH_OT_cancel_install, IMAGE_TO_MESH_OT_open_log)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    atexit.register(_end)


def unregister() -> None:
    global current, _ready
    atexit.unregister(_end)
    _end()
    errand.forget()
    current = _ready = None
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

"""The backend's own Python environment: install, repair, verify, remove. A thread does it, Blender never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import bpy

from ..backend import environment
from ..backend.accelerator import WHEELS
from ..backend.errors import Cancelled, UserError, to_user_error
from ..backend.progress import ProgressEvent, ProgressListener
from . import backend_location
from .backend_location import data_home, is_ready, may_go_online
from .background_task import BackgroundTask
from .setup_plan import setup_planner
from .task_operator import run_task
from .tasks import task_manager
from .text import DIALOG_WIDTH, draw_facts, short_path, size_of

STOP_TIMEOUT = 5.0
"""Seconds for an installation to clean up when Blender quits."""


class EnvironmentTask(BackgroundTask):
    """A change or a check of the environment, in a thread that knows no bpy: it only sets what ``poll`` takes over."""

    def __init__(self, label: str, work: Callable[[ProgressListener], object], is_check: bool = False):
        """``work`` gets a listener, which raises ``Cancelled`` on request; it may raise UserError. ``is_check``: it
        changes nothing."""
        super().__init__()
        self.label, self.is_check = label, is_check
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._progress = self.text, self.fraction
        self._failure: UserError | None = None

    def start(self, manager) -> None:
        manager.close_backends()  # one may be running from what is changed
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

    def _run(self, work: Callable[[ProgressListener], object]) -> None:
        try:
            work(self._listen)
        except Exception as error:
            self._failure = to_user_error(error, None)

    def _listen(self, event: ProgressEvent) -> None:
        if self.cancelling:
            raise Cancelled
        self._progress = f"{event.text}: {event.detail}" if event.detail else event.text, event.fraction


def install(home: Path | None, repair: bool, listener: ProgressListener) -> None:
    """Make the environment, with ``repair`` after deleting every one that is there. Raises UserError."""
    if repair:
        environment.remove(home)
    environment.ensure(listener, home)


class _EnvironmentOperator:
    """Mixin of an operator that starts an ``EnvironmentTask``."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if task_manager().is_running():
            cls.poll_message_set("Image to Mesh is already running")
            return False
        return True

    def run(self, label: str, work: Callable[[ProgressListener], object], is_check: bool = False):
        return run_task(self, EnvironmentTask(label, work, is_check), wait=bpy.app.background)


class IMAGE_TO_MESH_OT_install(_EnvironmentOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.install"
    bl_label = "Install Backend"
    bl_description = (
        "Download the Python packages that do the work (several hundred megabytes, more for a graphics card) "
        "into a separate folder. Blender's own Python is not changed"
    )

    repair: bpy.props.BoolProperty(
        name="Repair", description="Delete what is installed and install it again", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        if not super().poll(context):
            return False
        plan, error = setup_planner().plan, setup_planner().error
        if error is not None:
            cls.poll_message_set(str(error))
            return False
        if plan is not None and plan.free < plan.needed and not is_ready():
            cls.poll_message_set("There is not enough free disk space")
            return False
        return any(WHEELS.glob("*/*.whl")) or may_go_online(cls)

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        confirm = "Repair" if self.repair else "Install"
        return context.window_manager.invoke_props_dialog(
            self, width=DIALOG_WIDTH, title=f"{confirm} Backend", confirm_text=confirm
        )

    def draw(self, context):
        plan = setup_planner().plan
        setup_planner().look()
        if plan is not None:
            draw_facts(context, self.layout, plan_facts(plan), DIALOG_WIDTH)
        self.layout.label(text="Blender's own Python is not changed.")

    def execute(self, context):
        home, repair = data_home(), self.repair
        label = "Repair Backend" if repair else self.bl_label
        return self.run(label, lambda listener: install(home, repair, listener))


class IMAGE_TO_MESH_OT_verify(_EnvironmentOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.verify"
    bl_label = "Verify Backend"
    bl_description = "Compare every file of the backend with the one that was installed, and import all of it"

    def execute(self, context):
        home = data_home()
        return self.run(self.bl_label, lambda listener: environment.verify(listener, home), is_check=True)


class IMAGE_TO_MESH_OT_remove_backend(_EnvironmentOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.remove_backend"
    bl_label = "Remove Backend"
    bl_description = "Delete the backend's Python packages from this computer. Weights and results stay"

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove the backend's Python packages?",
            message="Weights and results stay. Nothing can be generated until the backend is installed again.",
            confirm_text="Remove",
        )

    def execute(self, context):
        home = data_home()
        return self.run(self.bl_label, lambda _: environment.remove(home))


def plan_facts(plan) -> list[tuple[str, str]]:
    """(label, text) of everything that somebody wants to know before the installation."""
    return [
        ("Download", size_of(1e6 * plan.download) if plan.download else "Nothing: the files are here"),
        ("Disk space", size_of(1e6 * plan.build.disk)),
        ("Free", f"{size_of(1e6 * plan.free)}{'' if plan.free >= plan.needed else ', not enough'}"),
        ("Folder", short_path(plan.folder)),
        ("Device", plan.device),
    ]


register, unregister = bpy.utils.register_classes_factory(
    (IMAGE_TO_MESH_OT_install, IMAGE_TO_MESH_OT_verify, IMAGE_TO_MESH_OT_remove_backend)
)

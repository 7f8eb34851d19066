"""What installing the backend would take on this computer. A thread finds out: asking for a GPU takes seconds."""

from __future__ import annotations

import threading
import time

import bpy

from ..backend.environment_plan import EnvironmentPlan, make_plan
from ..backend.errors import UserError, to_user_error
from .backend_location import data_home
from .ui import redraw_panels

_AGE = 15.0
"""Seconds after which a panel that is drawn anew looks anew: somebody may have freed disk space."""
_INTERVAL = 0.2
"""Seconds between two looks at the thread."""


class SetupPlanner:
    """The plan, found out when a panel first asks for it."""

    def __init__(self):
        self.plan: EnvironmentPlan | None = None
        """None: not known yet, or ``error`` says why there is none."""
        self.error: UserError | None = None
        self._thread: threading.Thread | None = None
        self._home = None
        self._looked = 0.0
        self._timer = self._on_timer  # Blender compares timers by identity

    def look(self) -> None:
        """Find out, unless that was a short time ago; never waits."""
        home = data_home()
        if self._thread is not None and self._thread.is_alive():
            return
        if self._home == home and time.monotonic() - self._looked < _AGE and self._looked:
            return
        self._home, self._looked = home, time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.register(self._timer, first_interval=_INTERVAL)

    def stop(self) -> None:
        if bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.unregister(self._timer)

    def _run(self) -> None:
        try:
            self.plan, self.error = make_plan(self._home), None
        except Exception as error:
            self.plan, self.error = None, to_user_error(error, None)

    def _on_timer(self) -> float | None:
        if self._thread is not None and self._thread.is_alive():
            return _INTERVAL
        redraw_panels()
        return None


def setup_planner() -> SetupPlanner:
    """The planner of the registered extension."""
    return bpy.types.WindowManager.image_to_mesh_setup_planner


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_setup_planner = SetupPlanner()


def unregister() -> None:
    setup_planner().stop()
    del bpy.types.WindowManager.image_to_mesh_setup_planner

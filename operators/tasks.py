"""The one way anything long runs: tasks in the background, and the manager that advances them.

A task belongs to this Blender process, not to a file, a window or an operator: it survives all three. Blender's main
thread only ever takes in what has happened; it never waits, except for a script that asks it to.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from .background_task import BackgroundTask
from .reporting import log_unexpected, show_error
from .ui import mark_file_changed, redraw_panels, set_status

IDLE_INTERVAL = 10.0
"""Seconds between two updates while only an idle backend process is left."""

AnyTask = TypeVar("AnyTask", bound="BackgroundTask")


class TaskManager:
    """Starts tasks, advances them on one timer, and owns the backend processes that some of them need."""

    def __init__(self):
        self._latest: dict[type[BackgroundTask], BackgroundTask] = {}
        self._backends: dict[type[BackgroundTask], tuple[Backend, float]] = {}
        """The process for each class of tasks, and when it was last in use."""
        self._waiting: list[BackgroundTask] = []
        self.failures: list[BackgroundTask] = []
        """Tasks of the queue that failed, to be listed until somebody has seen them."""
        self._last_id = 0
        self._awaited: BackgroundTask | None = None
        self._shown: tuple = ()
        """What the panels showed last."""
        self._timer = self._on_timer  # Blender compares timers by identity

    def __iter__(self) -> Iterator[BackgroundTask]:
        """The running or last task of each class, the newest last."""
        return iter(sorted(self._latest.values(), key=lambda task: task.id))

    def latest(self, kind: type[AnyTask]) -> AnyTask | None:
        """The running or else the last task of a class."""
        task = self._latest.get(kind)
        return task if isinstance(task, kind) else None

    def running(self, kind: type[AnyTask]) -> AnyTask | None:
        """The running task of a class."""
        task = self.latest(kind)
        return None if task is None or task.finished else task

    def is_running(self) -> bool:
        """Whether any task runs."""
        return any(not task.finished for task in self)

    def waiting(self) -> list[BackgroundTask]:
        """The tasks that begin when those before them have ended, the next one first."""
        return list(self._waiting)

    def queue(self, task: BackgroundTask) -> None:
        """Run a new task as soon as no other of its class runs."""
        task.is_one_of_many = True
        self._number(task)
        self._waiting.append(task)
        self._start_waiting()
        self._start_timer()

    def remove(self, task: BackgroundTask) -> None:
        """Take a waiting task out of the queue."""
        self._waiting.remove(task)
        task.clean_up()

    def start(self, task: BackgroundTask) -> None:
        """Run a new task. Raises UserError."""
        self._number(task)
        self._begin(task)
        self._start_timer()

    def _number(self, task: BackgroundTask) -> None:
        self._last_id += 1
        task.id = self._last_id

    def _begin(self, task: BackgroundTask) -> None:
        try:
            if self.running(type(task)):
                raise UserError(ErrorCode.BUSY, f"{task.label} is already running: wait for it, or cancel it.")
            task.start(self)
        except Exception:
            task.clean_up()
            raise
        task.started = time.monotonic()
        self._latest[type(task)] = task

    def backend(self, kind: type[BackgroundTask], start: Callable[[], Backend]) -> Backend:
        """The process for a class of tasks: the one that is there, else a new one.

        Each class has its own, so that a download does not hold up a reconstruction, nor a cancelled one end the other.
        """
        backend, _ = self._backends.get(kind, (None, 0.0))
        if backend is None or not backend.alive:
            if backend is not None:
                backend.close()
            backend = start()
        self._backends[kind] = backend, time.monotonic()
        return backend

    def update(self) -> None:
        """Take in what has happened, hand over results and end idle processes; never waits."""
        for task in self:
            if not task.finished:
                task.poll()
                if task.finished:
                    self._end(task)
        self._start_waiting()
        for kind, (backend, used) in list(self._backends.items()):
            if self.running(kind):
                self._backends[kind] = backend, time.monotonic()
            elif not backend.alive or time.monotonic() - used >= kind.idle_timeout():
                del self._backends[kind]
                backend.close()

    def wait(self, task: BackgroundTask, on_change: Callable[[BackgroundTask], None] | None = None) -> None:
        """Block until ``task`` has ended, calling ``on_change(task)`` on each change. Ctrl-C cancels."""
        self._awaited = task
        shown = None
        while not task.finished:
            try:
                self.update()
                if on_change and shown != (shown := (round(task.fraction, 2), task.text)):
                    on_change(task)
                time.sleep(0.05)
            except KeyboardInterrupt:
                task.cancel()
        self._awaited = None

    def has_backends(self) -> bool:
        """Whether there are backend processes, which take memory."""
        return bool(self._backends)

    def close_backends(self) -> None:
        """End the backend processes, and with them their tasks."""
        for backend, _ in self._backends.values():
            backend.close()
        self._backends.clear()

    def close(self) -> None:
        """End everything, without touching Blender's data: it may be quitting."""
        unfinished = [*(task for task in self if not task.finished), *self._waiting]
        self._waiting.clear()
        for task in unfinished:
            task.stop()
        self.close_backends()
        for task in unfinished:
            task.poll()
            task.clean_up()

    def _start_timer(self) -> None:
        self.stop_timer()  # it may be waiting for an idle backend
        bpy.app.timers.register(self._timer, first_interval=self._interval(), persistent=True)

    def _interval(self) -> float:
        """Seconds until the next update while tasks run."""
        return min((task.poll_interval for task in self if not task.finished), default=BackgroundTask.poll_interval)

    def stop_timer(self) -> None:
        """No more updates, until a task is started."""
        if bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.unregister(self._timer)

    def _start_waiting(self) -> None:
        for task in self.waiting():
            if self.running(type(task)) is None:
                self._waiting.remove(task)
                try:
                    self._begin(task)
                except Exception as error:
                    task.error, task.finished = log_unexpected(error), True
                    self._report(task)

    def _end(self, task: BackgroundTask) -> None:
        task.seconds = time.monotonic() - task.started
        try:
            if task.error is None:
                task.deliver()
        except Exception as error:
            task.error = log_unexpected(error)
        task.clean_up()
        if task is not self._awaited:
            self._report(task)

    def _report(self, task: BackgroundTask) -> None:
        """Say why a task failed, if it did; one of many is listed instead."""
        if task.error is not None and task.is_one_of_many and task.error.code != ErrorCode.CANCELLED:
            self.failures.append(task)
        elif task.error is not None:
            show_error(task.error)

    def _on_timer(self) -> float | None:
        self.update()
        self._show()
        if self.is_running():
            mark_file_changed()
            return self._interval()
        return IDLE_INTERVAL if self._backends else None

    def _show(self) -> None:
        """Redraw what shows the tasks, when it has changed."""
        running = [task for task in self if not task.finished]
        values = [(task.id, task.finished, round(task.fraction, 3), task.text, task.preview) for task in self]
        seconds = int(time.monotonic()) if running else 0  # panels count them
        shown = (*values, len(self._waiting), len(self.failures), seconds)
        if shown != self._shown:
            self._shown = shown
            redraw_panels()
            set_status("   ".join(_line(task) for task in running) or None)


def _line(task: BackgroundTask) -> str:
    return f"{': '.join(filter(None, (task.label, task.subject)))}: {task.fraction:.0%}  {task.text}"


def task_manager() -> TaskManager:
    """The manager of the registered extension."""
    return bpy.types.WindowManager.image_to_mesh_tasks


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_tasks = TaskManager()
    atexit.register(_close)


def unregister() -> None:
    atexit.unregister(_close)
    task_manager().stop_timer()
    _close()
    set_status(None)
    del bpy.types.WindowManager.image_to_mesh_tasks


def _close() -> None:
    """Blender quits or the extension is disabled: no task outlives it."""
    task_manager().close()

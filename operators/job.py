"""One running job: starts it, pumps its events on a timer, hands the result over.

The job belongs to this Blender process, not to a file, a window or an operator: it survives all three.
"""

from __future__ import annotations

import atexit
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.errors import ErrorCode, UserError
from ..backend.protocol import Failure, Progress, Result
from .paths import redraw

TICK = 0.1
"""Seconds between two looks at the backend while a job runs."""
KEEP = 300.0
"""Seconds that an idle backend is kept, with its networks in memory, for the next job."""


@dataclass
class Job:
    """A request to the backend, from its start to the moment its result stands in a scene."""

    folder: Path
    name: str
    """The picture's name, later the object's."""
    provenance: dict
    """Texts and numbers for the object's custom property."""
    target: str | None = None
    """The object that gets a new mesh; None: a new object."""
    camera: bool = False
    """Whether a matching camera was asked for."""
    request: int = 0
    """The backend's number for it."""
    started: float = field(default_factory=time.monotonic)
    fraction: float = 0.0
    text: str = "Starting"
    preview: Path | None = None
    """The newest picture of what is to come; its file may be gone when the job ends."""
    finished: bool = False
    """The result lies in ``folder``, or ``error`` says why not."""
    error: UserError | None = None
    cancelling: bool = False
    placed: bool = False

    def discard(self) -> None:
        """Delete what there is of a new object; an earlier one's files stay."""
        if self.target is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def waits_for_scene(self) -> bool:
        """Finished well, but not in a scene: the operator that started it is gone (another file was opened)."""
        return self.finished and self.error is None and not self.placed


current: Job | None = None
"""The running or the last job."""
_backend: Backend | None = None
_used = 0.0


def start(job: Job, send: Callable[[Backend], int], python: Path, log: Path, variables: dict[str, str]) -> None:
    """Make ``job`` the running one: ``send`` asks a backend (run by ``python``) for it. Raises UserError."""
    global current, _backend
    if is_running():
        raise UserError(ErrorCode.BUSY, "Image to Mesh is already at work: wait for it, or cancel it.")
    if _backend is None or not _backend.alive:
        close()
        _backend = Backend(python, log, variables)
    job.request = send(_backend)
    current = job
    if bpy.app.timers.is_registered(_pump):
        bpy.app.timers.unregister(_pump)
    bpy.app.timers.register(_pump, first_interval=TICK, persistent=True)


def is_running() -> bool:
    return current is not None and not current.finished


def update() -> None:
    """Take in what the backend said since the last call; never waits."""
    global _used
    if _backend is None or not is_running():
        return
    _used = time.monotonic()
    for event in _backend.poll():
        if event.id != current.request:
            continue
        if isinstance(event, Progress):
            current.fraction = event.fraction
            current.text = "Cancelling" if current.cancelling else event.text
            current.preview = Path(event.preview) if event.preview else current.preview
        elif isinstance(event, Result):
            current.finished = True
        elif isinstance(event, Failure):
            _fail(current, event.error)


def wait(job: Job, on_progress: Callable[[Job], None]) -> None:
    """Block until ``job`` has ended, calling ``on_progress(job)`` on each change. Ctrl-C cancels. Raises UserError."""
    shown = None
    while not job.finished:
        try:
            update()
            if shown != (shown := (round(job.fraction, 2), job.text)):
                on_progress(job)
            time.sleep(TICK / 2)
        except KeyboardInterrupt:
            cancel()
    if job.error is not None:
        raise job.error


def cancel() -> None:
    """Ask the running job to stop; it ends as a failure with the code ``cancelled`` within seconds."""
    if _backend is not None and is_running():
        current.cancelling, current.text = True, "Cancelling"
        _backend.cancel(current.request)


def close() -> None:
    """End the backend, and with it a running job."""
    global _backend
    if _backend is not None:
        _backend.close()
        update()
        _backend = None


def _fail(job: Job, error: UserError) -> None:
    job.finished, job.error = True, error
    job.discard()


def _pump() -> float | None:
    """The timer: looks at the backend, keeps the panels fresh, and ends a backend that is no longer needed."""
    update()
    redraw()
    if is_running():
        return TICK
    if time.monotonic() - _used < KEEP and _backend is not None and _backend.alive:
        return KEEP / 10
    close()
    return None


def register() -> None:
    atexit.register(close)


def unregister() -> None:
    global current
    atexit.unregister(close)
    if bpy.app.timers.is_registered(_pump):
        bpy.app.timers.unregister(_pump)
    close()
    current = None

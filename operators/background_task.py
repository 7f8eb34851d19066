"""What every task is: its progress, its error, and what the manager asks of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..backend.errors import UserError
from ..backend.expected_time import ExpectedTime


class BackgroundTask:
    """Something that goes on outside Blender's main thread. At most one of each class runs at a time."""

    label = ""
    """What a person calls it."""
    poll_interval = 0.25
    """Seconds between two calls of ``poll``."""

    def __init__(self):
        self.subject = ""
        """What it works on, if that is not clear from the label: an image's name, a prompt."""
        self.id = 0
        """Given by the manager."""
        self.is_one_of_many = False
        """Whether it waited in the queue: its failure is listed, and the next one begins."""
        self.started_by: tuple[str, dict] | None = None
        """The operator that started it, if one did, and its properties: what to call for another try."""
        self.fraction = 0.0
        """0..1 of the whole."""
        self.text = "Starting"
        """One line for a person: what is being done."""
        self.expected_time: ExpectedTime | None = None
        """How much longer it takes, where earlier ones may tell."""
        self.preview: Path | None = None
        """The newest image file to show while it runs, if there is one; the file may be gone when it ends."""
        self.error: UserError | None = None
        """Why it failed; its code is ``cancelled`` when that was requested."""
        self.finished = False
        self.cancelling = False
        self.started = time.monotonic()
        self.seconds = 0.0
        """How long it took, once it has ended."""

    @classmethod
    def idle_timeout(cls) -> float:
        """Seconds that its backend process, if it has one, stays when no task of this class runs."""
        return 0.0

    def start(self, manager: Any) -> None:
        """Begin; the ``tasks.TaskManager`` has the backend processes. Raises UserError."""
        raise NotImplementedError

    def poll(self) -> None:
        """Take in what has happened since the last call, in Blender's main thread; never waits."""

    def cancel(self) -> None:
        """Ask it to stop; it ends within seconds, with the error ``cancelled``."""
        self.cancelling, self.text = True, "Cancelling"

    def deliver(self) -> None:
        """Hand over the result; called once, in Blender's main thread, after it ended well. Raises UserError."""

    def clean_up(self) -> None:
        """Called once, in Blender's main thread, after it ended, well or not, or when it could not start."""

    def stop(self) -> None:
        """End it, waiting a few seconds at most, because Blender quits."""
        self.cancel()

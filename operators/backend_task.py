"""A task that the backend process works on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..backend.client import Backend
from ..backend.protocol import Failure, Progress
from .backend_location import backend_python
from .background_task import BackgroundTask
from .paths import log_file
from .tasks import TaskManager


class BackendTask(BackgroundTask):
    """One request to the backend process, from its start to its result."""

    def __init__(self, request: Callable[[Backend], int]):
        """``request`` sends the request to a backend and returns its id; it may raise UserError."""
        super().__init__()
        self.backend: Backend | None = None
        """The process, once the task has started."""
        self.succeeded = False
        """Whether the backend has sent a result."""
        self._first_request = request
        self._manager: TaskManager | None = None
        self._request = 0

    def start(self, manager: TaskManager) -> None:
        self._manager = manager
        self.send(self._first_request)

    def send(self, request: Callable[[Backend], int]) -> None:
        """Have the backend work on another request from now on; a process that has ended is started again.

        Raises UserError.
        """
        python, variables = backend_python()
        assert self._manager is not None  # it has started
        self.backend = self._manager.backend(type(self), lambda: Backend(python, log_file(), variables))
        self._request = request(self.backend)

    def receive(self, result: dict) -> None:
        """Take the result of a request; it is the end, unless more is to be sent."""
        self.succeeded = self.finished = True

    def poll(self) -> None:
        for event in self.backend.poll() if self.backend is not None else ():
            if event.id != self._request:
                continue
            if isinstance(event, Progress):
                self.fraction = event.fraction
                if self.expected_time is not None:
                    self.expected_time.enter(event.stage)
                self.text = "Cancelling" if self.cancelling else event.text
                self.preview = Path(event.preview) if event.preview else self.preview
                continue
            if isinstance(event, Failure):
                self.error, self.finished = event.error, True
            else:
                self.receive(event.value)

    def cancel(self) -> None:
        super().cancel()
        if self.backend is not None:
            self.backend.cancel(self._request)

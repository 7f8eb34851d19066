"""Start the backend and talk to it. Standard library only, and no thread here knows bpy: Blender imports this file."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import protocol
from .errors import ErrorCode, UserError, signal_name
from .launch import backend_command, clean_environment
from .locks import discard_partial
from .protocol import Failure, Progress, Result
from .version import VERSION

TERMINATE_TIMEOUT = 3.0
"""Seconds between asking to cancel and terminating the process group, and again until killing it."""
LOG_LIMIT = 1_000_000
"""Bytes after which a log is renamed to ``NAME.1`` when the next backend starts."""


class Backend:
    """A running backend process. Nothing here waits, except ``wait`` and ``close``.

    Every request ends in exactly one Result or Failure, whatever happens to the process. When the process has died
    (``alive`` is False) start a new ``Backend``.
    """

    def __init__(self, python: Path | str, log: Path | str, environment: Mapping[str, str] | None = None):
        """Start ``python`` (the backend's own interpreter), its stderr appended to ``log``.

        ``environment`` adds to or overrides this process's variables. Raises UserError (``no_backend``).
        """
        self.log = Path(log)
        self.hello: dict | None = None
        """The backend's greeting (protocol, backend, python, pid), once it has arrived."""
        self._open: dict[int, Path | None] = {}
        self._cancelled: dict[int, float] = {}
        self._events: list[Progress | Result | Failure] = []
        self._messages: queue.Queue[dict | None] = queue.Queue()
        self._dead: str | None = None
        self._terminated = False
        self._last = 0
        self._process = self._start(python, environment or {})
        threading.Thread(target=self._read, name="image-to-mesh backend reader", daemon=True).start()

    def _start(self, python: Path | str, extra: Mapping[str, str]) -> subprocess.Popen:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
            group: dict[str, Any] = {"creationflags": flags}
        else:
            group = {"start_new_session": True}
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # another backend may still write there: then its log grows on
                if self.log.stat().st_size > LOG_LIMIT:
                    self.log.replace(self.log.with_name(self.log.name + ".1"))
            with open(self.log, "ab") as log:
                return subprocess.Popen(
                    backend_command(python, "serve", "--log", str(self.log)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=clean_environment(extra),
                    **group,
                )
        except OSError as error:
            raise UserError(
                ErrorCode.NO_BACKEND,
                f"The backend could not be started ({error}): install or repair it.",
                str(self.log),
            ) from error

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process can still take requests."""
        return self._dead is None and self._process.poll() is None

    def cutout(self, image: Path | str, folder: Path | str, options: dict) -> int:
        """Request only the cutout of an image file, in ``folder``, to be looked at; the request's id."""
        return self._request("cutout", {"image": str(image), "folder": str(folder), "options": options})

    def load(self, options: dict) -> int:
        """Request that the networks be loaded that a job with ``options`` needs; the request's id."""
        return self._request("load", {"options": options})

    def generate(
        self,
        image: Path | str,
        folder: Path | str,
        options: dict,
        views: Mapping[str, Path | str] | None = None,
        mask: Path | str | None = None,
        show_views: bool = False,
    ) -> int:
        """Request image file -> textured mesh, files into ``folder``; ``options`` as of ``Options.to_dict``. ``views``:
        further image files by side (``views.given.SIDES``). ``mask``: an image file, white on the object.
        ``show_views``: whether the progress has image files of the views while they are sampled. The request's id."""
        given = {side: str(path) for side, path in (views or {}).items()}
        params = {"image": str(image), "folder": str(folder), "options": options, "views": given}
        params |= {"mask": None if mask is None else str(mask), "show_views": show_views}
        return self._request("generate", params)

    def text_to_mesh(self, prompt: str, folder: Path | str, options: dict, show_views: bool = False) -> int:
        """Request text prompt -> image -> textured mesh, files into ``folder``; otherwise as ``generate``."""
        params = {"prompt": prompt, "folder": str(folder), "options": options, "show_views": show_views}
        return self._request("text_to_mesh", params)

    def rebuild(
        self,
        source: Path | str,
        folder: Path | str,
        options: dict,
        changes: Mapping[str, object],
        show_views: bool = False,
    ) -> int:
        """Request the object of the job in ``source`` anew in ``folder``, with other views
        (``views.changes.parse_changes``) or another elevation; otherwise as ``generate``."""
        params = {"source": str(source), "folder": str(folder), "options": options, "changes": dict(changes)}
        return self._request("rebuild", params | {"show_views": show_views})

    def remesh(self, folder: Path | str, options: dict) -> int:
        """Request a new face budget or texture size from the field saved in ``folder``; the request's id."""
        return self._request("remesh", {"folder": str(folder), "options": options})

    def fetch_weights(self, name: str) -> int:
        """Request the download and installation of weights of the catalog, and of those they need; the request's id."""
        return self._request("weights.fetch", {"name": name})

    def add_weights(self, path: Path | str, name: str | None = None) -> int:
        """Request the installation of weights from a file or folder, named by the backend if not here; its id."""
        return self._request("weights.add", {"path": str(path), "name": name})

    def remove_weights(self, name: str) -> int:
        """Request the deletion of installed weights; the request's id."""
        return self._request("weights.remove", {"name": name})

    def cancel(self, id: int) -> None:
        """Ask a job to stop; it ends in a Failure ``cancelled``, at the latest when the process had to be killed."""
        if id in self._open and id not in self._cancelled:
            self._cancelled[id] = time.monotonic()
            self._send(protocol.notification("cancel", {"id": id}))

    def poll(self) -> list[Progress | Result | Failure]:
        """What has happened since the last call; never waits. Call it every now and then while a job runs."""
        self._process_messages(0.0)
        events, self._events = self._events, []
        return events

    def wait(self, id: int, on_progress: Callable[[Progress], None] | None = None) -> dict:
        """Wait for one request (for scripts): its result, or its failure raised as UserError."""
        others = []
        while True:
            own = []
            for event in self.poll():
                (own if event.id == id else others).append(event)
            for event in own:
                if isinstance(event, Progress):
                    if on_progress:
                        on_progress(event)
                    continue
                self._events = others
                if isinstance(event, Failure):
                    raise event.error
                return event.value
            self._process_messages(0.1)

    def close(self) -> None:
        """End the process: by closing its stdin, then by force. Unfinished requests fail."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        for force in (None, "terminate", "kill"):
            if force:
                self._signal(force)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TERMINATE_TIMEOUT)
                break
        self._mark_dead("was closed")

    def _request(self, method: str, params: dict) -> int:
        self._process_messages(0.0)
        if self._dead is not None:
            raise self._crash()
        self._last += 1
        self._open[self._last] = Path(params["folder"]) if "folder" in params else None
        self._send(protocol.request(self._last, method, params))
        return self._last

    def _send(self, message: dict) -> None:
        assert self._process.stdin is not None  # a pipe
        with contextlib.suppress(OSError):  # a closed pipe: the reader thread notices the end too
            self._process.stdin.write(protocol.encode(message))
            self._process.stdin.flush()

    def _read(self) -> None:
        """The reader thread: lines of the child become messages in the queue; None is its end."""
        assert self._process.stdout is not None  # a pipe
        with self._process.stdout as lines:
            for line in lines:
                message = protocol.decode(line)
                if message is not None:
                    self._messages.put(message)
        self._messages.put(None)

    def _process_messages(self, timeout: float) -> None:
        """Move messages to events; notice a dead child; stop one that ignores a cancel. Waits at most ``timeout`` s."""
        if self._dead is not None:
            return
        self._escalate_cancel()
        with contextlib.suppress(queue.Empty):
            message = self._messages.get(timeout > 0, timeout or None)
            while message is not None and self._dead is None:
                self._take(message)
                message = self._messages.get_nowait()
            if self._dead is None:
                self._mark_dead(self._exit_reason())

    def _take(self, message: dict) -> None:
        if message.get("method") == "hello":
            params = message.get("params")
            self.hello = params if isinstance(params, dict) else {}
            if self.hello.get("protocol") != protocol.PROTOCOL:
                self._signal("kill")
                self._mark_dead("speaks another protocol version")
            return
        event = protocol.event(message)
        if event is None or event.id not in self._open:
            return
        if not isinstance(event, Progress):
            del self._open[event.id]
            self._cancelled.pop(event.id, None)
        self._events.append(event)

    def _escalate_cancel(self) -> None:
        """Terminate, later kill, a child that does not answer a cancel."""
        if not self._cancelled:
            return
        waited = time.monotonic() - min(self._cancelled.values())
        if waited > 2 * TERMINATE_TIMEOUT:
            self._signal("kill")
        elif waited > TERMINATE_TIMEOUT and not self._terminated:
            self._terminated = True
            self._signal("terminate")

    def _signal(self, force: str) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            elif self._process.poll() is None:  # not yet reaped: the group's number is still ours
                os.killpg(self._process.pid, signal.SIGKILL if force == "kill" else signal.SIGTERM)

    def _exit_reason(self) -> str:
        try:
            status = self._process.wait(TERMINATE_TIMEOUT)
        except subprocess.TimeoutExpired:  # it closed its pipe but lives on: it is of no more use
            self._signal("kill")
            status = self._process.wait()
        if status in (-9, 137):
            return "was killed, most likely because the computer ran out of memory"
        if -status in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            return f"was stopped ({signal_name(-status)})"
        if status < 0:
            return f"crashed ({signal_name(-status)}); if that happens again, repair it"
        return (
            f"ended unexpectedly (exit status {status & 0xFFFFFFFF:#x})"
            if status > 255
            else f"ended unexpectedly (exit status {status})"
        )

    def _mark_dead(self, how: str) -> None:
        """The process is gone: every open request fails, and what it left half-written is removed."""
        self._dead = how
        for id, folder in self._open.items():
            if folder is not None:
                discard_partial(folder)
            cancelled = id in self._cancelled
            error = UserError(ErrorCode.CANCELLED, "Cancelled.", str(self.log)) if cancelled else self._crash()
            self._events.append(Failure(id, error))
        self._open.clear()
        self._cancelled.clear()

    def _crash(self) -> UserError:
        if self.hello is not None and self.hello.get("protocol") != protocol.PROTOCOL:
            return UserError(
                ErrorCode.VERSION_MISMATCH,
                f"The backend's version ({self.hello.get('backend')}) differs from the extension's "
                f"({VERSION}): restart Blender, or reinstall the extension.",
                str(self.log),
            )
        return UserError(
            ErrorCode.WORKER_CRASHED,
            f"The backend {self._dead}: try again; details are in the log {self.log}",
            str(self.log),
        )

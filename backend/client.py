"""Start the backend and talk to it. Standard library only, and no thread here knows bpy: Blender imports this file."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from . import protocol
from .errors import ErrorCode, UserError
from .paths import PARTIAL
from .protocol import Failure, Progress, Result
from .version import VERSION

PATIENCE = 3.0
"""Seconds between asking to cancel and terminating the process group, and again until killing it."""
LOG_LIMIT = 1_000_000
"""Bytes after which a log is put aside as ``NAME.1`` when the next backend starts."""

START = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('backend', run_name='__main__', alter_sys=True)"
)
"""Program text for ``python -c``, followed by the folder that holds this package and the command's arguments.

The package is started by its place, not by its name: in Blender that is bl_ext.REPOSITORY.image_to_mesh.backend.
"""


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
        """The backend's first words (protocol, backend, python, pid), once they have arrived."""
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
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | dict(extra)
        command = [
            str(python),
            "-I",
            "-u",
            "-X",
            "utf8",
            "-c",
            START,
            str(Path(__file__).resolve().parents[1]),
            "serve",
        ]
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
        else:
            group = {"start_new_session": True}
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # another backend may still write there: then its log grows on
                if self.log.stat().st_size > LOG_LIMIT:
                    self.log.replace(self.log.with_name(self.log.name + ".1"))
            with open(self.log, "ab") as log:
                return subprocess.Popen(
                    [*command, "--log", str(self.log)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
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

    def generate(self, picture: Path | str, folder: Path | str, options: dict) -> int:
        """Ask for picture -> textured mesh, files into ``folder``; ``options`` as of ``Options.to_dict``. Its id."""
        return self._request("generate", {"picture": str(picture), "folder": str(folder), "options": options})

    def imagine(self, text: str, folder: Path | str, options: dict) -> int:
        """Ask for words -> picture -> textured mesh, files into ``folder``; the request's id."""
        return self._request("imagine", {"text": text, "folder": str(folder), "options": options})

    def rework(self, folder: Path | str, options: dict) -> int:
        """Ask for a new face budget or texture size from the field kept in ``folder``; the request's id."""
        return self._request("rework", {"folder": str(folder), "options": options})

    def cancel(self, id: int) -> None:
        """Ask a job to stop; it ends in a Failure ``cancelled``, at the latest when the process had to be killed."""
        if id in self._open and id not in self._cancelled:
            self._cancelled[id] = time.monotonic()
            self._send(protocol.notification("cancel", {"id": id}))

    def poll(self) -> list[Progress | Result | Failure]:
        """What has happened since the last call; never waits. Call it every now and then while a job runs."""
        self._pump(0.0)
        events, self._events = self._events, []
        return events

    def wait(self, id: int, on_progress: Callable[[Progress], None] | None = None) -> dict:
        """Wait for one request (for scripts): its result, or its failure raised as UserError."""
        others = []
        while True:
            mine, rest = [], []
            for each in self.poll():
                (mine if each.id == id else rest).append(each)
            others += rest
            for each in mine:
                if isinstance(each, Progress):
                    if on_progress:
                        on_progress(each)
                    continue
                self._events = others
                if isinstance(each, Failure):
                    raise each.error
                return each.value
            self._pump(0.1)

    def close(self) -> None:
        """End the process: kindly, then by force. Unfinished requests are dropped."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        for force in (None, "terminate", "kill"):
            if force:
                self._end(force)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
                break
        self._die("was closed")

    def _request(self, method: str, params: dict) -> int:
        self._pump(0.0)
        if self._dead is not None:
            raise self._crash()
        self._last += 1
        self._open[self._last] = Path(params["folder"])
        self._send(protocol.request(self._last, method, params))
        return self._last

    def _send(self, message: dict) -> None:
        with contextlib.suppress(OSError):  # a closed pipe: the reader sees the end too, and _pump tells it
            self._process.stdin.write(protocol.encode(message))
            self._process.stdin.flush()

    def _read(self) -> None:
        """The reader thread: lines of the child become messages in the queue; None is its end."""
        with self._process.stdout as lines:
            for line in lines:
                message = protocol.decode(line)
                if message is not None:
                    self._messages.put(message)
        self._messages.put(None)

    def _pump(self, timeout: float) -> None:
        """Move messages to events; notice a dead child; make a deaf one stop. Waits for at most ``timeout`` seconds."""
        if self._dead is not None:
            return
        self._insist()
        with contextlib.suppress(queue.Empty):
            message = self._messages.get(timeout > 0, timeout or None)
            while message is not None and self._dead is None:
                self._take(message)
                message = self._messages.get_nowait()
            if self._dead is None:
                self._die(self._epitaph())

    def _take(self, message: dict) -> None:
        if message.get("method") == "hello":
            self.hello = message["params"]
            if self.hello.get("protocol") != protocol.PROTOCOL:
                self._end("kill")
                self._die("speaks another protocol version")
            return
        happened = protocol.event(message)
        if happened is None or happened.id not in self._open:
            return
        if not isinstance(happened, Progress):
            del self._open[happened.id]
            self._cancelled.pop(happened.id, None)
        self._events.append(happened)

    def _insist(self) -> None:
        """Terminate, later kill, a child that does not answer a cancel."""
        if not self._cancelled:
            return
        waited = time.monotonic() - min(self._cancelled.values())
        if waited > 2 * PATIENCE:
            self._end("kill")
        elif waited > PATIENCE and not self._terminated:
            self._terminated = True
            self._end("terminate")

    def _end(self, force: str) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            elif self._process.poll() is None:  # not yet reaped: the group's number is still ours
                os.killpg(self._process.pid, signal.SIGKILL if force == "kill" else signal.SIGTERM)

    def _epitaph(self) -> str:
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # it closed its pipe but lives on: of no more use
            self._end("kill")
            status = self._process.wait()
        if status in (-9, 137):
            return "was killed, most likely because the computer ran out of memory"
        if status < 0:
            return f"was stopped by signal {-status} ({signal.Signals(-status).name})"
        return (
            f"ended unexpectedly (exit status {status & 0xFFFFFFFF:#x})"
            if status > 255
            else f"ended unexpectedly (exit status {status})"
        )

    def _die(self, how: str) -> None:
        """The process is gone: every open request fails, and what it left half-written is removed."""
        self._dead = how
        for id, folder in self._open.items():
            shutil.rmtree(folder / PARTIAL, ignore_errors=True)
            asked = id in self._cancelled
            error = UserError(ErrorCode.CANCELLED, "Cancelled.", str(self.log)) if asked else self._crash()
            self._events.append(Failure(id, error))
        self._open.clear()
        self._cancelled.clear()

    def _crash(self) -> UserError:
        if self.hello and self.hello.get("protocol") != protocol.PROTOCOL:
            return UserError(
                ErrorCode.VERSION_MISMATCH,
                f"The backend is of another version ({self.hello.get('backend')}) than the extension "
                f"({VERSION}): restart Blender, or reinstall the extension.",
                str(self.log),
            )
        return UserError(
            ErrorCode.WORKER_CRASHED,
            f"The backend {self._dead}; try again, the log tells more: {self.log}",
            str(self.log),
        )

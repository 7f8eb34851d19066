"""The loop of the backend process: request in, progress out, result or error out.

One job runs at a time, on the main thread; a reader thread hears cancels meanwhile. The networks stay loaded between
jobs. The process ends when its stdin does, also in the middle of a job, so it never outlives its client.
"""

from __future__ import annotations

import logging
import os
import platform
import queue
import shutil
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from . import protocol
from .errors import ErrorCode, UserError, to_user_error
from .options import Options
from .paths import PARTIAL
from .progress import ProgressEvent
from .version import VERSION

GRACE = 2.0
"""Seconds that a running job gets to clean up once the client is gone."""

_log = logging.getLogger(__name__)


def serve(log: str | None) -> None:
    """Answer requests until stdin ends. ``log`` is the file that stderr goes to, named in error messages."""
    # A stray print, or a library's, must not break a message: the pipes move aside.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    _Server(requests, answers, log).run()


class _Server:
    def __init__(self, requests: BinaryIO, answers: BinaryIO, log: str | None):
        self._requests = requests
        self._answers = answers
        self._writing = threading.Lock()
        self._log_path = log
        self._jobs: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self._cancelled: dict[int, threading.Event] = {}
        """An event per unfinished job."""
        self._running: int | None = None
        self._partial: Path | None = None
        self._pipeline = None

    def run(self) -> None:
        self._say(
            protocol.notification(
                "hello",
                {
                    "protocol": protocol.PROTOCOL,
                    "backend": VERSION,
                    "python": platform.python_version(),
                    "pid": os.getpid(),
                },
            )
        )
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (job := self._jobs.get()) is not None:
            self._answer(job)

    def _read(self) -> None:
        """The reader thread: jobs go into the queue, cancels take effect at once, the end of stdin ends everything."""
        for line in self._requests:
            message = protocol.decode(line)
            if message is None:
                _log.error("not a message: %r", line[:200])
            elif message.get("method") == "cancel":
                self._cancel(message["params"]["id"])
            elif message.get("method") == "shutdown":
                self._say(protocol.result(message["id"], {}))
                break
            elif "id" in message:
                self._cancelled[message["id"]] = threading.Event()
                self._jobs.put(message)
        for event in list(self._cancelled.values()):
            event.set()
        self._jobs.put(None)
        threading.Event().wait(GRACE)  # the main thread, if it can, ends the process before this
        if self._partial is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
        os._exit(1)

    def _cancel(self, id: int) -> None:
        if id in self._cancelled:
            self._cancelled[id].set()
            if id != self._running:  # it waits behind another job: nothing to stop
                self._finish(id, protocol.failure(id, UserError(ErrorCode.CANCELLED, "Cancelled.")))

    def _answer(self, job: dict) -> None:
        id = self._running = job["id"]
        cancelled = self._cancelled.get(id)
        if cancelled is None:
            return  # while it waited
        try:
            answer = protocol.result(id, self._work(id, job["method"], job.get("params", {}), cancelled))
        except Exception as error:
            _log.exception("request %s failed", id)
            answer = protocol.failure(id, to_user_error(error, self._log_path))
        self._running = None
        self._finish(id, answer)

    def _finish(self, id: int, answer: dict) -> None:
        if self._cancelled.pop(id, None) is not None:
            self._say(answer)

    def _work(self, id: int, method: str, params: dict, cancelled: threading.Event) -> dict:
        def progress(event: ProgressEvent) -> None:
            params = {
                "id": id,
                "stage": event.stage,
                "fraction": round(event.fraction, 4),
                "text": event.text,
                "preview": str(event.preview) if event.preview else None,
            }
            self._say(protocol.notification("progress", params))

        if method not in ("generate", "imagine", "rework"):
            raise UserError(
                ErrorCode.BAD_REQUEST, f"The backend does not know “{method}”: restart Blender to update it."
            )
        folder = Path(params["folder"])
        options = Options.from_dict(params["options"])
        if self._pipeline is None:
            progress(ProgressEvent("load", 0.0, "Starting"))
            from .pipeline import Pipeline

            self._pipeline = Pipeline()
        self._partial = folder / PARTIAL
        try:
            if method == "generate":
                picture = Path(params["picture"])
                return self._pipeline.generate(picture, folder, options, progress, cancelled.is_set)
            if method == "imagine":
                return self._pipeline.text_to_mesh(params["text"], folder, options, progress, cancelled.is_set)
            return self._pipeline.remesh(folder, options, progress, cancelled.is_set)
        finally:
            self._partial = None

    def _say(self, message: dict) -> None:
        with self._writing:
            try:
                self._answers.write(protocol.encode(message))
                self._answers.flush()
            except OSError:  # the client is gone; the reader thread ends this process
                _log.warning("nobody listens")

"""The loop of the backend process: request in, progress out, result or error out.

One job runs at a time, on the main thread. A reader thread takes messages meanwhile, and a writer thread sends answers,
so that neither a job nor a client that does not read its answers can block a cancel or the end of stdin. The process
ends when its stdin does, also in the middle of a job, so it never outlives its client.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import signal
import sys
import threading
from typing import BinaryIO, NamedTuple

from . import protocol
from .errors import Cancelled, ErrorCode, UserError, to_user_error
from .library_variables import set_library_variables
from .methods import Methods
from .progress import ProgressEvent
from .protocol import is_id
from .version import VERSION

SHUTDOWN_GRACE = 2.0
"""Seconds that a running job gets to clean up once the client is gone."""
LINE_LIMIT = 1 << 20
"""Bytes of the longest line that is read as one; what is longer is no message."""

_log = logging.getLogger(__name__)


class _Job(NamedTuple):
    id: int
    method: str
    params: dict
    cancelled: threading.Event


class _Terminated(BaseException):
    """SIGTERM arrived: unwinds a running job, so that it deletes what is half-written."""


def serve(log: str | None) -> None:
    """Answer requests until stdin ends. ``log`` is the file that stderr goes to, named in error messages."""
    # A stray print, ours or a library's, must not break a message: the pipes get other file descriptors.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.raiseExceptions = False  # a log on a full disk must not stop the work
    server = _Server(requests, answers, log)
    signal.signal(signal.SIGTERM, server.terminate)
    try:
        with contextlib.ExitStack() as at_exit:  # Python's own exit functions do not run, see below
            set_library_variables(at_exit.callback)
            server.run()
    except _Terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)  # the exit status says what happened
    logging.shutdown()
    os._exit(0)  # Python's own end tears torch down for seconds, while the client waits


class _Server:
    def __init__(self, requests: BinaryIO, answers: BinaryIO, log: str | None):
        self._requests = requests
        self._answers = answers
        self._log_path = log
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unfinished: dict[int, _Job] = {}
        self._running: int | None = None
        self._terminated = False
        self._methods = Methods()

    def run(self) -> None:
        versions = {"protocol": protocol.PROTOCOL, "backend": VERSION, "python": platform.python_version()}
        self._send(protocol.notification("hello", versions | {"pid": os.getpid()}))
        writer = threading.Thread(target=self._write, name="answers", daemon=True)
        writer.start()
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (job := self._jobs.get()) is not None:
            self._answer(job)
        self._outgoing.put(None)
        writer.join()  # if nobody reads the answers, the reader thread ends the process

    def terminate(self, *_) -> None:
        """Handle SIGTERM, on the main thread."""
        self._terminated = True
        raise _Terminated

    def _read(self) -> None:
        """The reader thread: jobs are queued, cancels take effect at once, the end of stdin ends everything."""
        while line := self._requests.readline(LINE_LIMIT):
            try:
                if self._take(line):
                    break
            except Exception as error:  # whatever one message does, the next one is read
                _log.exception("message refused: %r", line[:200])
                self._refuse(None, protocol.INVALID_REQUEST, str(to_user_error(error, self._log_path)))
        for job in list(self._unfinished.values()):
            job.cancelled.set()
        self._jobs.put(None)
        threading.Event().wait(SHUTDOWN_GRACE)  # the main thread, if it can, ends the process before this
        self._methods.discard_partial()
        os._exit(1)

    def _take(self, line: bytes) -> bool:
        """Accept or refuse the message in one line; whether it asks the process to end."""
        message = protocol.decode(line)
        if message is None:
            if line.strip():
                self._refuse(None, protocol.PARSE_ERROR, "This line is no JSON-RPC 2.0 message.")
            return False
        method, params, id = message.get("method"), message.get("params", {}), message.get("id")
        if not isinstance(method, str) or not isinstance(params, dict):
            self._refuse(None, protocol.INVALID_REQUEST, "A message needs a method (a text) and params (an object).")
        elif method == "cancel" and is_id(params.get("id")):
            self._cancel(params["id"])
        elif method == "cancel":
            self._refuse(None, protocol.INVALID_PARAMS, "“cancel” needs the id of a request.")
        elif not is_id(id):
            self._refuse(None, protocol.INVALID_REQUEST, f"“{method}” needs an id that is a whole number.")
        elif id in self._unfinished:
            self._refuse(None, protocol.INVALID_REQUEST, f"Another unfinished request has the id {id}.")
        elif method == "shutdown":
            self._send(protocol.result(id, {}))
            return True
        elif method not in self._methods.table:
            sentence = f"The backend does not support “{method}”: restart Blender to update it."
            self._refuse(id, protocol.METHOD_NOT_FOUND, sentence)
        else:
            job = _Job(id, method, params, threading.Event())
            self._unfinished[id] = job
            self._jobs.put(job)
        return False

    def _refuse(self, id: int | None, number: int, sentence: str) -> None:
        _log.error("refused: %s", sentence)
        self._send(protocol.failure(id, UserError(ErrorCode.BAD_REQUEST, sentence, self._log_path), number))

    def _cancel(self, id: int) -> None:
        job = self._unfinished.get(id)
        if job is not None:
            job.cancelled.set()
            if id != self._running:  # it waits behind another job: there is nothing to stop
                self._finish(id, protocol.failure(id, UserError(ErrorCode.CANCELLED, "Cancelled.")))

    def _answer(self, job: _Job) -> None:
        self._running = job.id
        if self._unfinished.get(job.id) is not job:
            return  # it was cancelled while it waited
        try:
            answer = protocol.result(job.id, self._work(job))
        except Exception as error:
            _log.exception("request %s failed", job.id)
            answer = protocol.failure(job.id, to_user_error(error, self._log_path))
        if self._terminated:  # raised inside a library that made an error of its own of it
            raise _Terminated
        self._running = None
        self._finish(job.id, answer)

    def _finish(self, id: int, answer: dict) -> None:
        if self._unfinished.pop(id, None) is not None:
            self._send(answer)

    def _work(self, job: _Job) -> dict:
        def listener(event: ProgressEvent) -> None:
            if self._terminated:  # what the signal raised was lost in a callback, say of the garbage collector
                raise _Terminated
            if job.cancelled.is_set():
                raise Cancelled
            params = {
                "id": job.id,
                "stage": event.stage,
                "fraction": round(event.fraction, 4),
                "text": f"{event.text}: {event.detail}" if event.detail else event.text,
                "preview": str(event.preview) if event.preview else None,
            }
            self._send(protocol.notification("progress", params))

        return self._methods.table[job.method](job.params, listener)

    def _send(self, message: dict) -> None:
        """Queue a message for the writer thread; never waits."""
        self._outgoing.put(protocol.encode(message))

    def _write(self) -> None:
        """The writer thread."""
        while (line := self._outgoing.get()) is not None:
            try:
                self._answers.write(line)
                self._answers.flush()
            except OSError:  # the client is gone; the reader thread ends this process
                _log.warning("no client reads the answers")
                return

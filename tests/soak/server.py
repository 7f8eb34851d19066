"""A real backend process whose holdings can be counted. Linux only: it reads /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from backend import protocol
from backend.launch import backend_command, clean_environment

SLOWEST = 120.0
"""Seconds for one request; after that the process is killed, and the soak fails."""


class Holdings(NamedTuple):
    """What an idle process holds."""

    megabytes: float
    """Resident memory."""
    descriptors: int
    threads: int
    files: int
    """In all folders where the process may write; set by whoever knows these."""


class Server:
    """``serve`` in a process of its own; one request at a time, from the first line to the answer."""

    def __init__(self, log: Path, environment: Mapping[str, str]):
        with open(log, "ab") as stderr:
            self._process = subprocess.Popen(
                backend_command(sys.executable, "serve", "--log", str(log)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=clean_environment(environment),
            )
        self._last = 0

    def request(self, method: str, params: dict, cancel_at: str | None = None) -> str:
        """The code of the error that a request ends with, or ``result``. ``cancel_at``: the stage that is cancelled."""
        id = self.begin(method, params)
        return self.end(id, cancel_at)

    def begin(self, method: str, params: dict) -> int:
        """Send a request and return its id."""
        self._last += 1
        self._send(protocol.encode(protocol.request(self._last, method, params)))
        return self._last

    def cancel(self, id: int) -> None:
        self._send(protocol.encode(protocol.notification("cancel", {"id": id})))

    def refusal(self, line: bytes) -> str:
        """The code of the error that answers a line without an id."""
        self._send(line + b"\n")
        return self.end(None)

    def end(self, id: int | None, cancel_at: str | None = None) -> str:
        """Wait for the answer to a request that has begun; otherwise as ``request``."""
        assert self._process.stdout is not None  # a pipe
        watchdog = threading.Timer(SLOWEST, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                message = json.loads(line)
                params = message.get("params", {})
                if cancel_at is not None and (params.get("id"), params.get("stage")) == (id, cancel_at):
                    self.cancel(id)
                    cancel_at = None
                if "method" not in message and message["id"] == id:
                    return message["error"]["data"]["code"] if "error" in message else "result"
        finally:
            watchdog.cancel()
        raise AssertionError(f"The process ended, or took more than {SLOWEST:.0f} s.")

    def holdings(self, files: int) -> Holdings:
        process = Path("/proc") / str(self._process.pid)
        pages = int((process / "statm").read_text().split()[1])
        descriptors, threads = (len(os.listdir(process / name)) for name in ("fd", "task"))
        return Holdings(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, descriptors, threads, files)

    def close(self) -> int:
        """The process's exit status after the end of its input."""
        self._process.communicate(timeout=30)
        return self._process.returncode

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None  # a pipe
        self._process.stdin.write(line)
        self._process.stdin.flush()

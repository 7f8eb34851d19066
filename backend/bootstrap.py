"""A program started with any Python goes on in the backend's own environment. Standard library only."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from . import environment
from .accelerator import WHEELS, platform_tag, python_tag
from .errors import ErrorCode, UserError, signal_name
from .launch import backend_command
from .progress import TerminalProgress

_INSIDE = "IMAGE_TO_MESH_INSIDE"
"""Variable of the run inside the backend's own environment: if that is broken, it must not be tried for ever.

Its value is the file descriptor of a pipe that closes when the program that started this run ends; none on Windows."""
_NAME = re.compile(r"[\w.-]+")


def unmet_requirements(wheels: Path = WHEELS) -> list[str]:
    """The pinned packages that this Python lacks; those that ``requirements.txt`` names also in any other version.

    Raises UserError (``bad_platform``).
    """
    lock = wheels / f"{python_tag()}-{platform_tag()}.lock"
    if not lock.is_file():
        return ["any supported version of Python"]
    direct = {_NAME.match(line)[0].lower().replace("_", "-") for line in _lines(wheels / "requirements.txt")}  # type: ignore
    pins = dict(line.split()[0].split("==") for line in _lines(lock))
    torch = next(line.split("==")[1] for line in _lines(wheels / "requirements.txt") if line.startswith("torch=="))
    return [
        f"{name} {version}"
        for name, version in {"torch": torch, **pins}.items()
        if (found := _version(name)) is None or (name.lower() in direct and found.partition("+")[0] != version)
    ]


def run_inside(package: str, arguments: Sequence[str]) -> int:
    """Make the backend's own environment if there is none, and run ``python -m PACKAGE ARGUMENTS`` in it.

    Returns the exit status. The run is a process of its own, whose death by a signal becomes a sentence; it gets the
    signals that this process gets, and ends when this process is killed. Raises UserError (``environment_broken``
    where this is that run already or where it crashed, ``out_of_memory``, and those of ``environment.ensure``).
    """
    if _INSIDE in os.environ:
        raise UserError(
            ErrorCode.ENVIRONMENT_BROKEN,
            f"The backend's environment is missing {unmet_requirements()[0]}: repair it.",
            command="python3 -m backend setup",
        )
    python = environment.ensure(TerminalProgress())
    command = backend_command(python, *arguments, package=package)
    if sys.platform == "win32":
        process = subprocess.Popen(command, env={**os.environ, _INSIDE: ""})
    else:
        reading, _ = os.pipe()  # the other end stays open until this process ends
        process = subprocess.Popen(command, env={**os.environ, _INSIDE: str(reading)}, pass_fds=[reading])
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda received, _: process.send_signal(received))
    status = process.wait()
    if status >= 0:
        return status
    if -status == signal.SIGKILL:
        raise UserError(
            ErrorCode.OUT_OF_MEMORY,
            "The program was killed, most likely because the computer ran out of memory: close other programs, or "
            "choose the quality “fast”, fewer faces or a smaller texture.",
        )
    if -status in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        return 128 - status
    raise UserError(
        ErrorCode.ENVIRONMENT_BROKEN,
        f"The program crashed ({signal_name(-status)}), most likely because its files are damaged: check and repair "
        "them.",
        command="python3 -m backend setup",
    )


def prepare_child() -> None:
    """In a run that ``run_inside`` started: end when the program that started it was killed."""
    descriptor = os.environ.get(_INSIDE, "")
    if sys.platform != "win32" and descriptor.isdigit():

        def watch() -> None:
            with contextlib.suppress(OSError):
                while os.read(int(descriptor), 1):
                    pass
                os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, name="end of the parent", daemon=True).start()


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

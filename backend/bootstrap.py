"""A program started with any Python goes on in the backend's own environment. Standard library only."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from collections.abc import Sequence

from . import environment
from .errors import ErrorCode, UserError
from .launch import backend_command
from .progress import TerminalProgress

REQUIRED_MODULES = ("torch", "diffusers", "transformers", "safetensors", "PIL", "cv2", "scipy", "trimesh")
_INSIDE = "IMAGE_TO_MESH_INSIDE"
"""Variable of the run inside the backend's own environment: if that is broken, it must not be tried for ever."""


def missing_modules() -> list[str]:
    """The modules of ``REQUIRED_MODULES`` that this Python cannot import."""
    return [name for name in REQUIRED_MODULES if importlib.util.find_spec(name) is None]


def run_inside(package: str, arguments: Sequence[str]) -> int:
    """Make the backend's own environment if there is none, and run ``python -m PACKAGE ARGUMENTS`` in it.

    Returns the exit status; on POSIX this process is replaced. Raises UserError (``environment_broken`` where this is
    that run already, and those of ``environment.ensure``).
    """
    if _INSIDE in os.environ:
        raise UserError(
            ErrorCode.ENVIRONMENT_BROKEN,
            f"The backend's environment is missing {', '.join(missing_modules())}: repair it with "
            "“python3 -m backend setup --repair”.",
        )
    python = environment.ensure(TerminalProgress())
    command = backend_command(python, *arguments, package=package)
    variables = {**os.environ, _INSIDE: "1"}
    if os.name == "posix":
        os.execve(python, command, variables)
    process = subprocess.Popen(command, env=variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child receives it too, and cleans up
    return process.wait()

"""Where the backend is on this computer, whether it is ready, and whether the network may be used."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import bpy

from ..backend import environment
from ..backend.errors import ErrorCode, UserError
from .paths import preferences


def data_home() -> Path | None:
    """The data folder chosen in the preferences; None: the system's usual folder."""
    chosen = preferences().home
    return Path(bpy.path.abspath(chosen)) if chosen else None


def backend_python() -> tuple[Path, dict[str, str]]:
    """The Python that runs the backend, and environment variables for it. Raises UserError (``no_backend``)."""
    settings, home = preferences(), data_home()
    variables = {"IMAGE_TO_MESH_HOME": str(home)} if home and "IMAGE_TO_MESH_HOME" not in os.environ else {}
    if settings.python:
        python = Path(bpy.path.abspath(settings.python))
        if not python.is_file():
            raise UserError(
                ErrorCode.NO_BACKEND,
                f"There is no Python at {python}: correct the path in the extension's preferences.",
            )
        return python, variables
    python = environment.python_path(home)
    if python is None:
        raise UserError(
            ErrorCode.NO_BACKEND,
            "The backend is not installed yet: press Install Backend in the Image to Mesh panel.",
            command="python3 -m backend setup",
        )
    return python, variables


@cache
def is_ready() -> bool:
    """Whether there is a backend to start, as of the last ``refresh``: panels ask this with every redraw."""
    try:
        backend_python()
    except UserError:
        return False
    return True


def refresh() -> None:
    """Find out anew whether there is a backend to start."""
    is_ready.cache_clear()


def may_go_online(operator: type[bpy.types.Operator]) -> bool:
    """Whether the user lets Blender use the network; for an operator's ``poll``, which then says why not."""
    if not bpy.app.online_access:
        operator.poll_message_set(
            "Blender was started offline: start it without --offline-mode"
            if bpy.app.online_access_override
            else "Allow Online Access in Preferences > System first"
        )
    return bpy.app.online_access


def register() -> None:
    refresh()


def unregister() -> None:
    refresh()

"""Environment variables that libraries read while they are imported. Standard library only."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import UserError
from .paths import data_folder

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def disable_telemetry() -> None:
    """Keep onnxruntime from sending reports to Microsoft and storing an identifier; only before it is imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def set_library_variables(call_at_exit: Callable[..., object] = atexit.register) -> None:
    """Before libraries are imported: no telemetry, a cache folder of our own, and a home for a user who has none.

    PyTorch's default is a folder of the system's temporary one named after the user: another user may have made it, and
    the user may have no name. ``call_at_exit``: called as ``atexit.register`` with what deletes a temporary folder.
    """
    disable_telemetry()  # at once: diffusers, too, imports onnxruntime
    try:
        home = data_folder()
    except UserError:  # whoever needs the folder says so
        return
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(home)
    if _TORCH_CACHE in os.environ:
        return
    folder = home / "cache" / "torch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        folder = Path(tempfile.mkdtemp(prefix="image-to-mesh-torch-"))
        call_at_exit(shutil.rmtree, folder, ignore_errors=True)
    os.environ[_TORCH_CACHE] = str(folder)

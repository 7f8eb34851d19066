"""Environment variables that libraries read while they are imported. Standard library only."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .errors import UserError
from .paths import data_folder

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def disable_telemetry() -> None:
    """Keep onnxruntime from sending reports to Microsoft and storing an identifier; only before it is imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def set_library_variables() -> Callable[[], None]:
    """Before libraries are imported: no telemetry, a cache folder of our own, and a home for a user who has none.

    PyTorch's default is a folder of the system's temporary one named after the user: another user may have made it, and
    the user may have no name. Returns what deletes a temporary folder that had to be made, for processes whose exit
    functions do not run.
    """
    disable_telemetry()  # at once: diffusers, too, imports onnxruntime
    try:
        home = data_folder()
    except UserError:  # whoever needs the folder says so
        return _nothing
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(home)
    if _TORCH_CACHE in os.environ:
        return _nothing
    folder = home / "cache" / "torch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    delete = _nothing
    if not usable:
        folder = Path(tempfile.mkdtemp(prefix="image-to-mesh-torch-"))
        delete = partial(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(delete)
    os.environ[_TORCH_CACHE] = str(folder)
    return delete


def _nothing() -> None:
    """There is no temporary folder."""

"""Where this program keeps things on a person's computer. Standard library only."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STARTER_WEIGHTS = Path(__file__).resolve().parent / "weights" / "starter"


def data_folder() -> Path:
    """Environment, installed weights and logs; ``IMAGE_TO_MESH_HOME`` overrides the system's usual place."""
    chosen = os.environ.get("IMAGE_TO_MESH_HOME")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "image-to-mesh"


def weights_remedy(path: Path) -> str:
    """What a person can do about a missing or damaged file of weights, as the second half of a sentence."""
    if path.is_relative_to(STARTER_WEIGHTS):
        return "reinstall the extension, which brings the starter weights along"
    return "install these weights again, or choose “starter”"

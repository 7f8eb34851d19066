"""The extension's own files, which are never in its own folder, and its preferences."""

from __future__ import annotations

from pathlib import Path

import bpy

PACKAGE = __package__.rpartition(".")[0]
"""The extension's own package, which is also its name in Blender's preferences."""


def user_folder() -> Path:
    """The folder Blender gives this extension; it survives an upgrade and goes when the extension is removed."""
    return Path(bpy.utils.extension_path_user(PACKAGE, create=True))


def log_file() -> Path:
    """The backend's log; error messages name it."""
    return user_folder() / "backend.log"


def times_file() -> Path:
    """How long the stages of jobs took on this computer."""
    return user_folder() / "times.json"


def preferences():
    """The extension's own preferences."""
    return bpy.context.preferences.addons[PACKAGE].preferences

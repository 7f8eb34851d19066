"""The extension's own files, which are never in its own folder, and its preferences."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import bpy

from ..backend.paths import PARTIAL
from .scene import job_folder

PACKAGE = __package__.rpartition(".")[0]
"""The extension's own package, which is also its name in Blender's preferences."""
RECENT_JOBS = 20
"""Job folders that are never deleted: the last ones used."""


def user_folder() -> Path:
    """The folder Blender gives this extension; it survives an upgrade and goes when the extension is removed."""
    return Path(bpy.utils.extension_path_user(PACKAGE, create=True))


def new_job_folder() -> Path:
    """A new, empty folder for one job's files; old ones that are not needed are deleted. Raises OSError."""
    parent = user_folder() / "jobs"
    parent.mkdir(exist_ok=True)
    _prune(parent)
    moment = time.strftime("%Y-%m-%d %H-%M-%S")
    names = (moment if count == 1 else f"{moment} ({count})" for count in range(1, 1000))
    folder = next(parent / name for name in names if not (parent / name).exists())
    folder.mkdir()
    return folder


def _prune(parent: Path) -> None:
    """Delete job folders, except the last ones used, those that this file's objects and images refer to, and any in
    which a job is running, maybe another Blender's."""
    folders = sorted((path for path in parent.iterdir() if path.is_dir()), key=lambda folder: folder.stat().st_mtime)
    needed = {folder.name for folder in map(job_folder, bpy.data.objects) if folder is not None}
    needed |= {Path(bpy.path.abspath(image.filepath)).parent.name for image in bpy.data.images if image.filepath}
    for folder in folders[: -RECENT_JOBS + 1]:
        if folder.name not in needed and not (folder / PARTIAL).exists():
            shutil.rmtree(folder, ignore_errors=True)


def log_file() -> Path:
    """The backend's log; error messages name it."""
    return user_folder() / "backend.log"


def preferences():
    """The extension's own preferences."""
    return bpy.context.preferences.addons[PACKAGE].preferences

"""The folders of jobs, and which one an object was made from. A .blend says only its name, since anybody may have made
the file: a job clears and fills the folder that it is given."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import bpy

from ..backend.errors import UserError
from ..backend.paths import PARTIAL, safe_join
from .paths import preferences, user_folder

PROVENANCE = "image_to_mesh"
"""Custom property of an object of ours: what it was made of and how (a plain dictionary of texts and numbers)."""
JOB = "job"
"""Its key for the name of the job's folder."""
_OLD_JOB = "folder"
"""Its key for the path of the job's folder, until version 0.1."""
SELECT_MADE = "Select an object made by Image to Mesh"
"""Why an operator for such an object is not available."""
_MEGABYTE = 1e6


def jobs_folder() -> Path:
    """The folder of all job folders."""
    return user_folder() / "jobs"


def new_job_folder() -> Path:
    """A new, empty folder for one job's files; old ones that are not needed are deleted. Raises OSError."""
    parent = jobs_folder()
    parent.mkdir(exist_ok=True)
    _prune(parent)
    moment = time.strftime("%Y-%m-%d %H-%M-%S")
    for count in range(1, 1000):
        folder = parent / (moment if count == 1 else f"{moment} ({count})")
        try:
            folder.mkdir()  # fails where another Blender has just made it
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent} has a thousand folders of this second")


def poll_made_object(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the active object was made by this extension; where not, the operator's message says so."""
    if made_object(context) is None:
        operator.poll_message_set(SELECT_MADE)
        return False
    return True


def made_object(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active object, if it was made by this extension."""
    active = context.active_object
    return active if active is not None and provenance(active) else None


def provenance(obj: bpy.types.Object) -> dict:
    """What an object says about how it was made, without its job's folder; empty for an object that is not ours."""
    about = obj.get(PROVENANCE)
    values = about.to_dict() if hasattr(about, "to_dict") else {}
    return {key: value for key, value in values.items() if key not in (JOB, _OLD_JOB)}


def job_folder(obj: bpy.types.Object) -> Path | None:
    """The folder of the job that an object of ours was made from, directly inside ``jobs_folder``; None for any other
    object, and for one that names anything else."""
    about = obj.get(PROVENANCE)
    values = about.to_dict() if hasattr(about, "to_dict") else {}
    parent, name, path = jobs_folder(), values.get(JOB), values.get(_OLD_JOB)
    try:
        if name is None and isinstance(path, str) and Path(path).parent.resolve() == parent.resolve():
            name = Path(path).name
        folder = safe_join(parent, name) if isinstance(name, str) else None
        return folder if folder is not None and folder.resolve().parent == parent.resolve() else None
    except (UserError, OSError, RuntimeError, ValueError):
        return None


def folder_bytes(folder: Path) -> int:
    """The size of all files in a job's folder."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _prune(parent: Path) -> None:
    """Delete the job folders used least recently until the others are within the limit of the preferences; never those
    that this file's objects and images refer to, nor one in which a job is running, maybe another Blender's."""
    folders = [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()]
    folders.sort(key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: folder_bytes(folder) for folder in folders}
    needed = {folder.name for folder in map(job_folder, bpy.data.objects) if folder is not None}
    needed |= {Path(bpy.path.abspath(image.filepath)).parent.name for image in bpy.data.images if image.filepath}
    excess = sum(sizes.values()) - preferences().results_limit * _MEGABYTE
    for folder in folders:
        if excess <= 0:
            return
        if folder.name not in needed and not (folder / PARTIAL).exists():
            shutil.rmtree(folder, ignore_errors=True)
            excess -= sizes[folder]

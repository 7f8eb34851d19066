"""One image to one object for scripts: they wait for the result."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from ..backend.options import Options
from ..properties import computer_options
from . import image_input
from .generate import new_task
from .job_record import JobRecord
from .reporting import log_unexpected
from .task_operator import print_progress
from .tasks import task_manager


def generate(
    image: str | Path | bpy.types.Image, *, name: str = "", camera: bool = False, **options
) -> bpy.types.Object:
    """Turn an image into a textured object of the current scene, 1 m long, its base at the 3D cursor; return it.

    ``image`` is a file or one of ``bpy.data.images``. ``name`` is the object's, if not the image's. ``camera`` adds a
    matching camera. ``options`` are the fields of ``backend.options.Options`` (``faces=5000``, ``seed=1``, ...): what
    is left out has its default, whatever the scene's settings are; ``device`` and ``low_memory`` have the preferences'
    values.

    Blocks for the whole job, prints its progress, and Ctrl-C cancels it. Raises RuntimeError with one sentence, as
    operators do.
    """
    try:
        return generate_object(image, name, camera, options)
    except Exception as error:
        raise RuntimeError(str(log_unexpected(error))) from error


def generate_object(image: str | Path | bpy.types.Image, name: str, camera: bool, options: dict) -> bpy.types.Object:
    """As ``generate``. Raises UserError and OSError."""
    chosen = Options.from_dict({**computer_options(), **options}).to_dict()
    if isinstance(image, bpy.types.Image):
        record = JobRecord(name or image_input.object_name(image), chosen, camera=camera)
        task = new_task(bpy.context, record, lambda folder: image_input.image_file(image, folder))
    else:
        path = Path(image).expanduser().absolute()
        if not path.is_file():
            raise UserError(ErrorCode.BAD_IMAGE, f"The image {path} does not exist: choose another one.")
        task = new_task(bpy.context, JobRecord(name or path.stem, chosen, camera=camera), lambda folder: path)
    manager = task_manager()
    manager.start(task)
    manager.wait(task, print_progress)
    if task.error is not None:
        raise task.error
    return next(obj for obj in bpy.data.objects if obj.session_uid == task.object_uid)

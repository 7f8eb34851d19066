"""The beginning of a job: its folder, its image files, its record."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..backend.errors import ErrorCode, UserError
from ..backend.version import VERSION
from .job_folders import jobs_folder, new_job_folder
from .job_record import JobRecord, sha256, write_record


def begin_job(
    record: JobRecord,
    write_image: Callable[[Path], Path] | None = None,
    write_views: Callable[[Path], dict[str, str]] | None = None,
) -> tuple[Path, JobRecord]:
    """A new job's folder, and the record with the paths of its image files, which is written there.

    ``write_image`` and ``write_views`` take the folder and return the image file and further ones by side; without them
    the record's own are used. Files of an earlier job, which may be deleted, are copied. Raises UserError and OSError.
    """
    folder = new_job_folder()
    try:
        image = str(write_image(folder)) if write_image is not None else record.image
        views = write_views(folder) if write_views is not None else record.views
        record = replace(
            record,
            image=_kept(image, folder),
            mask=_kept(record.mask, folder),
            views={side: _kept(path, folder) for side, path in views.items()},
            version=VERSION,
            time=time.strftime("%Y-%m-%d %H:%M:%S"),
        )
        if record.image:
            record = replace(record, image_sha256=sha256(Path(record.image)))
        write_record(folder, record)
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, record


def _kept(file: str, folder: Path) -> str:
    """The path of a file, if there is one, that stays as long as the job in ``folder``. Raises UserError."""
    path = Path(file)
    if not file or path.parent == folder or not path.is_relative_to(jobs_folder()):
        return file
    if not path.is_file():
        raise UserError(ErrorCode.BAD_IMAGE, f"The image “{path}” is missing: put it back, or choose another one.")
    return str(shutil.copy(path, folder))

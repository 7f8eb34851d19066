"""The jobs of this computer, as the panel lists them. They are read from their folders: they outlive a crash."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..backend.input_files import read_json
from ..backend.paths import PARTIAL
from .job_folders import folder_bytes, jobs_folder
from .job_record import JobRecord, described, read_record


@dataclass(frozen=True)
class Job:
    """One job that does not run."""

    folder: Path
    record: JobRecord
    faces: int
    """Of the mesh; 0 where the job was interrupted."""
    finished: float
    """When, in seconds since the epoch."""
    bytes: int
    """Of all its files."""
    provenance: dict
    """For the object's custom property."""

    @property
    def thumbnail(self) -> Path:
        return self.folder / "thumbnail.png"

    @property
    def picture(self) -> str:
        """The name of the image file, or the prompt."""
        return self.record.prompt or Path(self.record.image).name


@cache
def listed_jobs() -> tuple[Job, ...]:
    """All jobs, the newest first, as of the last ``invalidate``: panels ask this with every redraw.

    One without a result was interrupted, when Blender ended; it can be started again.
    """
    parent = jobs_folder()
    folders = [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()] if parent.is_dir() else []
    jobs = [job for folder in folders if (job := _read(folder)) is not None]
    return tuple(sorted(jobs, key=lambda job: job.finished, reverse=True))


def delete_job(job: Job) -> None:
    """Delete all files of a job. Raises OSError."""
    shutil.rmtree(job.folder)
    invalidate()


def invalidate() -> None:
    """Find out anew which jobs there are."""
    listed_jobs.cache_clear()


def _read(folder: Path) -> Job | None:
    """A job's folder; None where a job may be running, or nothing can be said of it."""
    record = read_record(folder)
    if record is None or (folder / PARTIAL).exists():
        return None
    faces, provenance, finished = 0, record.provenance(), folder.stat().st_mtime
    try:
        report = read_json(folder / "report.json")
        faces, finished = int(report["mesh"]["faces"]), (folder / "report.json").stat().st_mtime
        provenance["options"] = described(report["options"])  # remeshing changes them
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return Job(folder, record, faces, finished, folder_bytes(folder), provenance)

"""What a job was asked for, beside its result: enough to list it, to add it to a scene, and to generate it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import bpy

from ..backend.client import Backend
from ..backend.input_files import read_json

RECORD_FILE = "job.json"


@dataclass(frozen=True)
class JobRecord:
    """One request for a new object. Its file stays on this computer: it has paths."""

    name: str
    """Of the object."""
    options: dict
    """The settings, as the backend takes them."""
    image: str = ""
    """Path of the image file; empty where there is a prompt."""
    image_sha256: str = ""
    mask: str = ""
    """Path of the mask that cuts the object out, white on it; empty where there is none."""
    views: dict[str, str] = field(default_factory=dict)
    """Paths of further image files, by the side that they show."""
    prompt: str = ""
    camera: bool = False
    """Whether a matching camera is wanted."""
    version: str = ""
    """Of the extension."""
    time: str = ""
    """Of the request, YYYY-MM-DD HH:MM:SS."""

    def request(self, folder: Path) -> Callable[[Backend], int]:
        """What asks a backend for the result in ``folder``."""

        def send(backend: Backend) -> int:
            show_views = not bpy.app.background
            if self.prompt:
                return backend.text_to_mesh(self.prompt, folder, self.options, show_views)
            return backend.generate(self.image, folder, self.options, self.views, self.mask or None, show_views)

        return send

    def provenance(self) -> dict:
        """Texts and numbers for the object's custom property, without a path."""
        source = {"prompt": self.prompt} if self.prompt else {"image": self.name, "image_sha256": self.image_sha256}
        return {**source, "options": described(self.options), "version": self.version, "time": self.time}


def described(options: dict) -> dict:
    """Options for an object's custom property: weights that are a folder by its name, since its path is private."""
    return {
        key: Path(value).name if isinstance(value, str) else value
        for key, value in options.items()
        if value is not None
    }


def sha256(path: Path) -> str:
    """The hash of a file, hexadecimal; empty where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def write_record(folder: Path, record: JobRecord) -> None:
    """Write the record into a job's folder. Raises OSError."""
    (folder / RECORD_FILE).write_text(json.dumps(asdict(record), indent=2, ensure_ascii=False), encoding="utf-8")


def read_record(folder: Path) -> JobRecord | None:
    """The record of a job's folder; None where there is none, or a damaged one."""
    try:
        values = read_json(folder / RECORD_FILE)
        record = JobRecord(**values)
    except (OSError, ValueError, TypeError):
        return None
    kinds = {each.name: type(each.default) for each in fields(JobRecord)}
    kinds |= {"name": str, "options": dict, "views": dict}
    return record if all(isinstance(getattr(record, name), kind) for name, kind in kinds.items()) else None

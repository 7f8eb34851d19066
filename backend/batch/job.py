"""What an engine works on, and what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import ErrorCode
from ..input_files import check_image_file
from ..options import Options
from .manifest import Entry

CORES_PER_WORKER = 2
"""Of a worker without a GPU."""
FATAL = frozenset(
    {
        ErrorCode.DISK_FULL,
        ErrorCode.ENVIRONMENT_BROKEN,
        ErrorCode.NO_BACKEND,
        ErrorCode.NO_DEVICE,
        ErrorCode.NO_HOME,
        ErrorCode.NO_PERMISSION,
        ErrorCode.VERSION_MISMATCH,
        ErrorCode.WEIGHTS,
        ErrorCode.WEIGHTS_BROKEN,
        ErrorCode.WEIGHTS_MISMATCH,
        ErrorCode.WEIGHTS_MISSING,
    }
)
"""Errors that all other pictures would end with too: these end the batch, and the picture is not listed."""


class Task(NamedTuple):
    """One picture to turn into a mesh."""

    source: str
    """A path, or an address of fsspec."""
    name: str
    """What its results are called."""


class Known(NamedTuple):
    """A picture whose content was there before, with the same options."""

    source: str
    sha256: str


@dataclass(frozen=True)
class Job:
    """What all pictures of a batch have in common."""

    place: str
    """Where the results go: a path or an address."""
    options: Options
    force: bool
    """Whether files of these names that this program did not write are replaced."""
    known: Collection[str]
    """The sha256 of every picture whose result is there."""


Outcome = Entry | Known


def hash_image(path: str) -> str:
    """The sha256 of an image file. Raises UserError (``bad_image``) and OSError."""
    with open(check_image_file(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

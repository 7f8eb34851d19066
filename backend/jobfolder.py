"""A job's folder: nothing half-written is ever seen in it, and what rework needs is kept in it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from .protocol import PARTIAL


@contextlib.contextmanager
def partial(folder: Path) -> Iterator[Path]:
    """A place for a job's files: on success all move into ``folder`` at once, on any error all are gone.

    What an earlier process left there when it was killed is removed. A folder that was made for this job goes too.
    """
    existed = folder.is_dir()
    place = folder / PARTIAL
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
        for file in sorted(place.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # with results in it, it stays
                folder.rmdir()

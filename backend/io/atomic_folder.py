"""A job's folder, never half-written."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..locks import exclusive_lock, refuse
from ..paths import LOCK, PARTIAL, remove_any
from .outputs import rename_together


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder for a job's files: on success all move into ``folder``, on any error none does.

    What an earlier process left there when it was killed is deleted. A folder that was made for this job goes too.
    Raises UserError (``busy``) where another job is running in ``folder``.
    """
    existed = folder.is_dir()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / PARTIAL
    message = f"Another job is running in {folder}: wait until it has ended."
    try:
        with exclusive_lock(folder / LOCK, refuse(message)):
            remove_any(partial)
            partial.mkdir()
            try:
                yield partial
                rename_together({file: folder / file.name for file in sorted(partial.iterdir())})
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    finally:
        if not existed:
            with contextlib.suppress(OSError):  # with results in it, it stays
                folder.rmdir()

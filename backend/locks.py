"""Files that only one process at a time may hold, on every system. Standard library only: Blender imports it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import ErrorCode, UserError
from .paths import LOCK, PARTIAL, remove_any

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""A lock file that somebody made a link, or a FIFO, is not opened."""


@contextlib.contextmanager
def exclusive_lock(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Hold a lock on the file ``path``, which is made for it and deleted afterwards.

    The system releases it when this process ends, however it ends; then only an empty file stays, which hinders nobody.
    While another process, or another thread of this one, holds it, ``wait`` is called before each new attempt; it may
    raise. Raises OSError where the file cannot be made.
    """
    while (descriptor := _acquire(path)) is None:
        wait()
    try:
        yield
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        os.close(descriptor)
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # the next process has opened it already
                path.unlink(missing_ok=True)


def refuse(sentence: str) -> Callable[[], object]:
    """A ``wait`` that does not wait: it raises UserError (``busy``)."""

    def raise_busy() -> None:
        raise UserError(ErrorCode.BUSY, sentence)

    return raise_busy


def discard_partial(folder: Path) -> None:
    """Delete what a job that has died left half-written in its ``folder``; nothing where another one is running."""
    with contextlib.suppress(OSError, UserError), exclusive_lock(folder / LOCK, refuse("")):
        remove_any(folder / PARTIAL)


def _acquire(path: Path) -> int | None:
    """The descriptor of the locked file; None while another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINKS, 0o666)
    try:
        # Who held it may have deleted the file between the opening and the lock: then another one counts.
        if _lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a network's file system without locks: better no lock than no work
        return True

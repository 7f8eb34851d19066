"""What the C library does with memory that a program frees. Only glibc, on Linux, can be told. Standard library only.

glibc gives every large block back to the system at once. A network on a processor asks for the next one in the same
moment, and the system has to fill each of its pages with zeros again: a sixth of the time that follows the views.

Source: the manual page mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
"""Numbers of parameters, from malloc.h."""
_NEVER = 2**31 - 1
_STEP = 64 * 2**20
"""Bytes by which the heap grows at least."""


def keep_freed_memory() -> None:
    """From now on this process uses freed memory again, until ``return_freed_memory``. For processes that are ours."""
    if (library := _glibc()) is not None:
        # One arena: those of other threads are too small for large blocks.
        for parameter, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _STEP)):
            library.mallopt(parameter, value)


def return_freed_memory() -> None:
    """Give freed memory back to the system: after a job, since the next one may be far off."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") else None

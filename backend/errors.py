"""Errors as one sentence that the user can act on. Standard library only: Blender imports it."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from enum import StrEnum

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BAD_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST, errno.ENOENT, errno.EIO)
_DISK_FULL_TEXTS = ("no space left on device", "os error 28", "file too large", "disk quota exceeded")
_MEMORY_TEXTS = (
    "alloc_failed",
    "bad_alloc",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a primitive",
    "errormemoryallocation",
    "failed to allocate",
    "insufficient memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
)
"""What PyTorch, CUDA, cuBLAS, cuDNN, oneDNN, OpenCV, ONNX Runtime, NumPy and C++ say, in lower case."""


class ErrorCode(StrEnum):
    """The kind of a ``UserError``, for programs."""

    BAD_HASH = "bad_hash"
    BAD_IMAGE = "bad_image"
    BAD_NAME = "bad_name"
    BAD_OPTION = "bad_option"
    BAD_OUTPUT = "bad_output"
    BAD_PLATFORM = "bad_platform"
    BAD_PYTHON = "bad_python"
    BAD_REQUEST = "bad_request"
    BAD_RESULT = "bad_result"
    BROKEN_FIELD = "broken_field"
    BROKEN_VIEWS = "broken_views"
    BUSY = "busy"
    CANCELLED = "cancelled"
    DISK_FULL = "disk_full"
    DOWNLOAD_FAILED = "download_failed"
    ENVIRONMENT_BROKEN = "environment_broken"
    FACES_TOO_FEW = "faces_too_few"
    INTERNAL = "internal"
    LICENSE_NOT_ACCEPTED = "license_not_accepted"
    NEEDS_ELEVATION = "needs_elevation"
    NO_BACKEND = "no_backend"
    NO_COMPILER = "no_compiler"
    NO_DEVICE = "no_device"
    NO_FIELD = "no_field"
    NO_HOME = "no_home"
    NO_NETWORK = "no_network"
    NO_OBJECT = "no_object"
    NO_PERMISSION = "no_permission"
    NO_STATE = "no_state"
    NO_TEXT_MODEL = "no_text_model"
    NO_VENV = "no_venv"
    NO_WHEEL = "no_wheel"
    OBJECT_GONE = "object_gone"
    OUT_OF_MEMORY = "out_of_memory"
    REMBG_FAILED = "rembg_failed"
    SETUP_FAILED = "setup_failed"
    TOO_FEW_VIEWS = "too_few_views"
    UNSAFE_PATH = "unsafe_path"
    VERSION_MISMATCH = "version_mismatch"
    WEIGHTS = "weights"
    WEIGHTS_BROKEN = "weights_broken"
    WEIGHTS_IN_USE = "weights_in_use"
    WEIGHTS_MISMATCH = "weights_mismatch"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_REFUSED = "weights_refused"
    WEIGHTS_THERE = "weights_there"
    WEIGHTS_UNKNOWN = "weights_unknown"
    WORKER_CRASHED = "worker_crashed"


class UserError(Exception):
    """An error that the user can act on: one clear sentence (what is wrong, what to do) and a code for programs.

    The sentence names no command, since Blender shows it too, which has a button instead; ``command`` does.
    """

    def __init__(self, code: ErrorCode, message: str, log: str | None = None, command: str = ""):
        super().__init__(message)
        self.code = code
        self.command = command
        """What somebody at a terminal can type to mend it, if there is such a thing."""
        self.log = log
        """Path of the log with the details, if there is one."""


class Cancelled(Exception):
    """Somebody asked the job to stop. A progress callback raises it between two steps; no stage catches it."""

    def __init__(self):
        super().__init__("Cancelled.")


def printable(text: str) -> str:
    """``text`` as one line for any terminal: control characters, line breaks and bytes that are no UTF-8 escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def signal_name(number: int) -> str:
    """What ended a process, such as SIGBUS."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal, say
        return f"signal {number}"


def to_user_error(error: BaseException, log: str | None) -> UserError:
    """Any exception as one clear sentence. The traceback belongs in the log, which the sentence names."""
    if isinstance(error, Cancelled):
        return UserError(ErrorCode.CANCELLED, str(error), log)
    chain = list(_chain(error))
    # Who says that a file is damaged, because of any error while it was read, may not know that this was the reason.
    reasons = chain[1:] if isinstance(error, UserError) else chain
    if any(map(_is_full_disk, reasons)):
        return UserError(ErrorCode.DISK_FULL, "The disk is full: free some space and try again.", log)
    if any(map(_is_lack_of_memory, reasons)):
        advice = "close other programs, or choose the quality “fast”, fewer faces or a smaller texture"
        if any("cuda" in str(each).lower() for each in reasons):
            advice = "close other programs that use the GPU, or choose Low Memory"
        return UserError(ErrorCode.OUT_OF_MEMORY, f"There is not enough memory for this task: {advice}.", log)
    if isinstance(error, UserError):
        error.log = error.log or log
        return error
    if isinstance(error, OSError) and (isinstance(error, PermissionError) or error.errno == errno.EROFS):
        place = error.filename if error.filename is not None else "a file"
        return UserError(ErrorCode.NO_PERMISSION, f"No permission for {place}: choose another folder.", log)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return UserError(ErrorCode.BUSY, "Too many files are open: close other programs and try again.", log)
    if isinstance(error, OSError) and error.filename is not None and error.errno in _BAD_PATH:
        return UserError(
            ErrorCode.BAD_OUTPUT, f"{error.filename} cannot be used ({error.strerror}): choose another path.", log
        )
    if missing := next((each for each in chain if isinstance(each, ImportError)), None):
        return UserError(
            ErrorCode.ENVIRONMENT_BROKEN,
            f"The backend's environment is incomplete ({missing}): repair it.",
            log,
            command="python3 -m backend setup",
        )
    details = f": see the log {log}" if log else ""
    return UserError(ErrorCode.INTERNAL, f"The backend failed unexpectedly ({type(error).__name__}){details}", log)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it: libraries wrap a MemoryError in errors of their own."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_full_disk(error: BaseException) -> bool:
    is_told = any(phrase in str(error).lower() for phrase in _DISK_FULL_TEXTS)
    return is_told or (isinstance(error, OSError) and error.errno in _DISK_FULL)


def _is_lack_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    # The loader of libraries says so of memory that it does not get, and with a reason where it may not execute them.
    is_unmapped = "failed to map segment" in text and "not permitted" not in text
    return isinstance(error, MemoryError) or is_unmapped or any(phrase in text for phrase in _MEMORY_TEXTS)

"""What a path from outside must be before it is read. Standard library only: it runs before an installation."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from .errors import ErrorCode, UserError, printable

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.I)


def check_image_file(source: str | Path) -> Path:
    """The path of an image file that is there and can be opened. Raises UserError (``bad_image``)."""
    name = printable(str(source))
    if not str(source).strip() or "\0" in str(source):
        raise UserError(ErrorCode.BAD_IMAGE, "The name of the image is empty or no file name: give an image file.")
    if _URL.match(str(source)) and not os.path.exists(source):
        raise UserError(ErrorCode.BAD_IMAGE, f"{name} is an address, not a file: download the image first.")
    path = Path(source)
    problem = _problem(path)
    if isinstance(problem, FileNotFoundError):
        raise UserError(ErrorCode.BAD_IMAGE, f"There is no file {name}: check the path.") from problem
    if problem is not None:
        reason = problem.strerror or str(problem)
        raise UserError(
            ErrorCode.BAD_IMAGE,
            f"{name} cannot be read ({reason}): choose an image file that you have permission to open.",
        ) from problem
    return path


def check_weights_path(path: Path) -> None:
    """Raises UserError (``weights_missing``) unless ``path`` is a folder, or a file that can be opened."""
    problem = None if path.is_dir() else _problem(path)
    if isinstance(problem, FileNotFoundError):
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There is no file or folder {path}: check the path.") from problem
    if problem is not None:
        reason = problem.strerror or str(problem)
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"{path} cannot be read ({reason}): choose a file or folder of weights."
        ) from problem


def check_regular_file(path: Path) -> Path:
    """The path of a file that can be read. Raises OSError, for a device or a pipe too, which might never end."""
    problem = _problem(path)
    if problem is not None:
        raise problem
    return path


def read_json(path: Path) -> Any:
    """What a JSON file says, which may be anything. Raises OSError as ``check_regular_file``, and ValueError."""
    try:
        return json.loads(check_regular_file(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _problem(path: Path) -> OSError | None:
    """Why the file cannot be read; only a regular file is opened, since a FIFO or a device might never end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return IsADirectoryError("it is a folder")
        if not stat.S_ISREG(mode):
            return OSError("it is a device or a pipe, not a file")
        with open(path, "rb"):
            return None
    except ValueError as error:  # a name with a null character
        return FileNotFoundError(str(error))
    except OSError as error:
        return error

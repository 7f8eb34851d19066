"""Which pictures a batch has: those of a folder, or those of a list."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..errors import ErrorCode, UserError, printable
from ..io.image import FORMATS
from ..paths import expand_user, safe_join
from .storage import file_system, is_remote, local_path

_LONGEST = 120
"""Bytes of a component of a result's name, without what is added to it."""
_REPLACED = re.compile(r"[^\w .()+,=@-]")
"""What does not stay in a result's name."""


class Picture(NamedTuple):
    """One picture of a batch."""

    source: str
    """A path, or an address of fsspec."""
    name: str
    """What its results are called unless that is taken: components with ``/`` between them, no ending."""


def find_pictures(source: str, results: str) -> list[Picture]:
    """The pictures of a folder (with all folders in it), of a text file with a path a line, or of stdin (``-``).

    ``results``: the place of the results, which is left out where it is inside the folder. The order is that of their
    paths or lines. Raises UserError (``bad_option``).
    """
    if source == "-":
        return _from_lines(sys.stdin.buffer)
    if is_remote(source):
        system, root = file_system(source)
        if not system.isdir(root):
            with system.open(root, "rb") as file:
                return _from_lines(file)
        paths = [path for path in sorted(system.find(root)) if _is_image(path)]
        return [
            Picture(system.unstrip_protocol(path), _result_name(path.removeprefix(root).lstrip("/"))) for path in paths
        ]
    path = expand_user(local_path(source))
    if path.is_dir():
        return _from_folder(path, results)
    if not path.is_file():
        raise UserError(
            ErrorCode.BAD_OPTION, f"There is no folder and no list {printable(source)}: give a folder or a text file."
        )
    if _is_image(path.name):
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"{printable(source)} is one image, not a list: give its folder, or turn it into a mesh on its own.",
            command=f"python3 -m backend mesh {shlex.quote(printable(source))}",
        )
    with open(path, "rb") as file:
        return _from_lines(file)


def _from_folder(folder: Path, results: str) -> list[Picture]:
    excluded = "" if is_remote(results) else os.path.realpath(local_path(results))
    if excluded and Path(os.path.realpath(folder)).is_relative_to(excluded):
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"The results would lie among the images in {printable(str(folder))}: choose another folder with --out.",
        )
    pictures = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if os.path.realpath(os.path.join(parent, each)) != excluded)
        for file in sorted(files):
            if _is_image(file):
                path = os.path.join(parent, file)
                name = os.path.relpath(path, folder).replace(os.sep, "/")
                pictures.append(Picture(os.path.abspath(path), _result_name(name)))
    return pictures


def _from_lines(lines: Iterable[bytes]) -> list[Picture]:
    paths = [os.fsdecode(line.rstrip(b"\r\n")) for line in lines]
    sources = [path if is_remote(path) else os.path.abspath(local_path(path)) for path in paths if path.strip()]
    return [Picture(source, _result_name(source.replace(os.sep, "/").rpartition("/")[2])) for source in sources]


def _is_image(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return Image.registered_extensions().get(suffix) in FORMATS


def _result_name(name: str) -> str:
    """A picture's name, which may be anything, as one that every file system takes."""
    components = []
    for component in os.path.splitext(name)[0].split("/"):
        plain = _REPLACED.sub("-", component).encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
        try:
            safe_join(Path(os.sep), plain)
        except UserError:  # empty, or one of Windows' device names
            plain = f"picture-{plain}".rstrip(". -")
        components.append(plain)
    return "/".join(components)

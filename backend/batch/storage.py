"""Where the results of a batch go: a folder of this computer, or an address of fsspec such as ``s3://bucket/results``.

Names of files are relative to it, with ``/`` between components.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import fsspec

from ..errors import ErrorCode, UserError, printable
from ..io.outputs import has_mark, is_ours, reserve_outputs, write_together
from ..locks import exclusive_lock, refuse
from ..paths import LOCK, safe_join


class Storage(Protocol):
    """The place of a batch's results."""

    def names(self) -> Iterable[str]:
        """All files that are there; none where there is no such place yet."""
        ...

    def address(self, name: str) -> str:
        """The path or address of a file, with links to folders resolved."""
        ...

    def is_ours(self, name: str, role: str) -> bool:
        """Whether this program wrote the file in this ``role`` (``io.outputs``)."""
        ...

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, with their ends; none where there is no such file."""
        ...

    def write(self, contents: Mapping[str, tuple[bytes, str]], force: bool = False) -> None:
        """Write files (name -> content, role): each is whole or not there. Raises UserError and OSError."""
        ...

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file, which is made if it is not there; on the disk when this returns."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Make the place if it is not there, and keep other runs out of it. Raises UserError (``busy``)."""
        ...


def open_storage(place: str) -> Storage:
    """The storage at a path or an address. Raises UserError (``bad_option``, ``bad_output``)."""
    if is_remote(place):
        return RemoteStorage(place.rstrip("/"))
    return LocalStorage(Path(os.path.abspath(local_path(place))))


def is_remote(path: str) -> bool:
    """Whether this is an address of fsspec outside this computer's file system."""
    return "://" in path and not path.startswith("file://")


def local_path(path: str) -> str:
    """A path without ``file://``."""
    return path.removeprefix("file://")


def file_system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. Raises UserError (``bad_option``)."""
    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"{printable(address)} cannot be opened ({error}): install the package that it needs (docs/scale.md).",
        ) from error


class LocalStorage:
    """A folder, on a disk or a network's file system."""

    def __init__(self, root: Path):
        self.root = root

    def names(self) -> Iterable[str]:
        for folder, _, files in os.walk(self.root):
            inside = os.path.relpath(folder, self.root)
            for file in files:
                yield file if inside == "." else f"{inside}/{file}".replace(os.sep, "/")

    def address(self, name: str) -> str:
        return os.path.join(os.path.realpath(self.root), name)

    def is_ours(self, name: str, role: str) -> bool:
        return is_ours(self.root / name, role)

    def lines(self, name: str) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), open(self.root / name, "rb") as file:
            yield from file

    def write(self, contents: Mapping[str, tuple[bytes, str]], force: bool = False) -> None:
        paths = {safe_join(self.root, name): entry for name, entry in contents.items()}
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        needed = sum(len(content) for content, _ in paths.values())
        with reserve_outputs({path: role for path, (_, role) in paths.items()}, needed, force):
            write_together({path: content for path, (content, _) in paths.items()})

    def append(self, name: str, content: bytes) -> None:
        with open(self.root / name, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        message = f"Another batch is writing into {self.root}: wait for its end, or choose another folder."
        with exclusive_lock(self.root / LOCK, refuse(message)):
            yield


class RemoteStorage:
    """An address of fsspec. Object stores write each object whole or not at all; nobody else is kept out."""

    def __init__(self, address: str):
        self._system, self._root = file_system(address)

    def names(self) -> Iterable[str]:
        with contextlib.suppress(FileNotFoundError):
            for path in self._system.find(self._root):
                yield path.removeprefix(self._root).lstrip("/")

    def address(self, name: str) -> str:
        return self._system.unstrip_protocol(f"{self._root}/{name}")

    def is_ours(self, name: str, role: str) -> bool:
        with self._system.open(f"{self._root}/{name}", "rb") as file:
            return has_mark(file, role)

    def lines(self, name: str) -> Iterator[bytes]:
        with contextlib.suppress(FileNotFoundError), self._system.open(f"{self._root}/{name}", "rb") as file:
            yield from file

    def write(self, contents: Mapping[str, tuple[bytes, str]], force: bool = False) -> None:
        for name, (content, _) in contents.items():
            safe_join(Path(os.sep), name)
            self._system.makedirs(os.path.dirname(f"{self._root}/{name}"), exist_ok=True)
            self._system.pipe_file(f"{self._root}/{name}", content)

    def append(self, name: str, content: bytes) -> None:
        with self._system.open(f"{self._root}/{name}", "ab") as file:
            file.write(content)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._system.makedirs(self._root, exist_ok=True)
        yield

"""The installed weights: listed, verified, removed, and installed all or nothing.

Standard library only: Blender imports it. Each set of weights is a folder ``weights/NAME`` in the data folder, with a
manifest ``weights.json`` (kind, source, license, and the size and sha256 of each file).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ErrorCode, UserError, printable
from ..input_files import read_json
from ..locks import exclusive_lock, refuse
from ..paths import LOCK, PARTIAL, remove_any, safe_join, weights_folder
from ..progress import OnProgress, ignore_progress

MANIFEST = "weights.json"
DOWNLOADS = ".downloads"
"""Folder among the weights that holds interrupted downloads until they are continued."""
BLOCK = 1 << 20
"""Bytes read at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class InstalledWeights:
    """Weights on this computer."""

    name: str
    folder: Path
    kind: str
    """One of ``catalog.KINDS``."""
    source: str
    """Where they came from, for people."""
    license: str
    bytes: int
    notes: tuple[str, ...]
    """Sentences for the user on what is special about them."""
    files: dict[str, dict]
    """Path below ``folder`` -> ``bytes`` and ``sha256``."""


def installed_weights(home: Path | None = None) -> dict[str, InstalledWeights]:
    """All installed weights by name; a folder without a readable manifest is not ours and is left out, as is one with a
    name that weights cannot have. All texts are printable.

    ``home`` is the data folder chosen in Blender's preferences, if any.
    """
    installed = {}
    for path in sorted(weights_folder(home).glob(f"*/{MANIFEST}")):
        folder = path.parent
        with contextlib.suppress(Exception):  # the file may say anything
            manifest = read_json(path)
            files = {
                name: {"bytes": int(file["bytes"]), "sha256": str(file["sha256"])}
                for name, file in manifest["files"].items()
            }
            for name in files:
                safe_join(folder, name)
            size = sum(int(file["bytes"]) for file in files.values())
            kind, source, license = (printable(str(manifest[key])) for key in ("kind", "source", "license"))
            if is_valid_name(folder.name):
                notes = tuple(printable(str(note)) for note in manifest.get("notes", ()))
                installed[folder.name] = InstalledWeights(
                    folder.name, folder, kind, source, license, size, notes, files
                )
    return installed


def is_valid_name(name: str) -> bool:
    """Whether ``name`` can be a folder among the weights, on every system."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".") and name != "starter"


def check_name(name: str, home: Path | None = None) -> None:
    """Raises UserError for a name that weights cannot have (``bad_name``), or have already (``weights_there``).

    ``home``: as in ``installed_weights``.
    """
    if not is_valid_name(name):
        raise UserError(
            ErrorCode.BAD_NAME,
            f"“{name}” is not a valid name: use letters, digits, dots and dashes, but not “starter”.",
        )
    if (weights_folder(home) / name).exists():
        raise UserError(
            ErrorCode.WEIGHTS_THERE,
            f"Weights named “{name}” are already installed: remove them first, or choose another name.",
        )


def check_disk_space(needed: int, folder: Path, purpose: str) -> None:
    """Raises UserError (``disk_full``) when ``needed`` bytes do not fit into ``folder``, which exists."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            ErrorCode.DISK_FULL,
            f"{purpose} needs {needed / 1e9:.2f} GB in {folder}, but only {free / 1e9:.2f} GB is free: free some "
            "space, or choose a data folder (IMAGE_TO_MESH_HOME) on another disk.",
        )


@contextlib.contextmanager
def exclusive_weights(wait: Callable[[], object], home: Path | None = None) -> Iterator[None]:
    """Be the only process that changes what is installed; ``wait`` is called while another one does."""
    weights_folder(home).mkdir(parents=True, exist_ok=True)
    with exclusive_lock(weights_folder(home) / LOCK, wait):
        yield


@contextlib.contextmanager
def atomic_install(
    name: str, kind: str, source: str, license: str, notes: list[str], home: Path | None = None
) -> Iterator[Path]:
    """A new, empty folder to write weights into; they are installed as ``name`` when the block succeeds, else deleted.

    ``notes``: sentences for the user, to which the block may add. ``home``: as in ``installed_weights``. The caller
    holds ``exclusive_weights``. Raises UserError (those of ``check_name``).
    """
    check_name(name, home)
    partial = weights_folder(home) / PARTIAL / name
    if partial.parent.is_symlink() or not partial.parent.is_dir():
        remove_any(partial.parent)
    remove_any(partial)  # of a process that was killed
    try:
        partial.mkdir(parents=True)
        yield partial
        files = {
            path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        manifest = {"kind": kind, "source": source, "license": license, "notes": notes, "files": files}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        partial.rename(weights_folder(home) / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            partial.parent.rmdir()


def copy_file(source: Path, target: Path, advance: Callable[[int], object], hardlink: bool = False) -> None:
    """Copy a file, calling ``advance`` with the bytes of each block; or hard link it, if asked and if that works."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if hardlink:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            advance(source.stat().st_size)
            return
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while block := reader.read(BLOCK):
            writer.write(block)
            advance(len(block))


def sha256(path: Path, advance: Callable[[int], object] = ignore_progress) -> str:
    """The hash of a file's content in hexadecimal digits; ``advance`` gets the bytes of each block."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def verify(weights: InstalledWeights, on_progress: OnProgress) -> list[str]:
    """The problems of installed weights, a clause for each file that is missing, damaged, or not part of them."""
    problems = []
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done / max(weights.bytes, 1))

    for name, expected in weights.files.items():
        path = safe_join(weights.folder, name)
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != expected["bytes"] or sha256(path, advance) != expected["sha256"]:
            problems.append(f"{name} is damaged")
    present = {path.relative_to(weights.folder).as_posix() for path in weights.folder.rglob("*") if path.is_file()}
    strangers = sorted(present - {MANIFEST} - set(weights.files))
    return problems + [f"{name} is unexpected" for name in strangers]


def remove(name: str) -> int:
    """Delete installed weights and their interrupted downloads. Returns the bytes freed.

    Raises UserError (``weights_missing``, ``weights_in_use``).
    """
    folder, downloads = weights_folder() / name, weights_folder() / DOWNLOADS / name
    exists = name in installed_weights() or (is_valid_name(name) and (folder.is_dir() or downloads.is_dir()))
    if not exists:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"No weights named “{name}” are installed: choose among those that are.",
            command="python3 -m backend weights list",
        )
    size = sum(path.stat().st_size for root in (folder, downloads) for path in root.rglob("*") if path.is_file())
    try:
        with exclusive_weights(refuse("Another process is installing or removing weights: wait until it has ended.")):
            for root in (folder, downloads):
                if root.is_symlink():
                    root.unlink()
                elif root.is_dir():
                    removed = root.with_name(f".{name}.removed")
                    remove_any(removed)
                    root.rename(removed)
                    shutil.rmtree(removed)
    except OSError as error:
        raise UserError(
            ErrorCode.WEIGHTS_IN_USE,
            f"{folder} could not be removed ({error.strerror}): close programs that use it, then try again.",
        ) from error
    return size

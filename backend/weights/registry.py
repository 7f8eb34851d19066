"""Installed weights: put in place all or none, checked, removed. Standard library only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..progress import OnProgress
from .catalog import MANIFEST, Installed, installed, weights_folder

PARTIAL = ".partial"
"""Folder among the weights where a set stands until all of it is there."""
DOWNLOADS = ".downloads"
"""Folder among the weights where an interrupted download waits to be continued."""
BLOCK = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> None:
    """Raises UserError for a name that cannot be given to weights, or is taken."""
    if not _NAME.fullmatch(name) or name == "starter" or name.endswith("."):
        raise UserError(
            ErrorCode.BAD_NAME, f"“{name}” cannot be a name: use letters, digits, dots, dashes; not “starter”."
        )
    if (weights_folder() / name).exists():
        raise UserError(
            ErrorCode.WEIGHTS_THERE, f"There are weights “{name}” already: remove them first, or choose another name."
        )


def check_disk(needed: int, folder: Path, what: str) -> None:
    """Raises UserError (``disk_full``) when ``needed`` bytes do not fit into ``folder``, which is there."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            ErrorCode.DISK_FULL,
            f"{what} needs {needed / 1e9:.2f} GB in {folder}, and {free / 1e9:.2f} GB is free: free some space, "
            "or set IMAGE_TO_MESH_HOME to a folder on another disk.",
        )


@contextlib.contextmanager
def place(name: str, kind: str, source: str, license: str) -> Iterator[Path]:
    """A new, empty folder to write weights into; they are installed as ``name`` when the block ends well, else gone."""
    check_name(name)
    partial = weights_folder() / PARTIAL / name
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir(parents=True)
        yield partial
        files = {
            path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(partial.rglob("*"))
            if path.is_file()
        }
        about = {"kind": kind, "source": source, "license": license, "files": files}
        (partial / MANIFEST).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        partial.rename(weights_folder() / name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):
            partial.parent.rmdir()


def copy(source: Path, target: Path, advance: Callable[[int], None], link: bool = False) -> None:
    """Copy a file, calling ``advance`` with the bytes of each block; ``link``: give it a second name if that works."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            advance(source.stat().st_size)
            return
    with open(source, "rb") as old, open(target, "wb") as new:
        while block := old.read(BLOCK):
            new.write(block)
            advance(len(block))


def sha256(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    """The hash of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def verify(weights: Installed, on_progress: OnProgress) -> list[str]:
    """What is wrong with installed weights, a clause for each file: missing, changed, or not theirs."""
    wrong = []
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done / weights.bytes)

    for name, about in weights.files.items():
        path = weights.folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif path.stat().st_size != about["bytes"] or sha256(path, advance) != about["sha256"]:
            wrong.append(f"{name} is damaged")
    there = (path for path in weights.folder.rglob("*") if path.is_file())
    names = {path.relative_to(weights.folder).as_posix() for path in there} - {MANIFEST}
    return wrong + [f"{name} does not belong there" for name in sorted(names - set(weights.files))]


def remove(name: str) -> int:
    """Delete installed weights and what of them is half downloaded; the bytes freed. Raises UserError."""
    folder, downloads = weights_folder() / name, weights_folder() / DOWNLOADS / name
    known = name in installed() or (_NAME.fullmatch(name) and (folder.is_dir() or downloads.is_dir()))
    if not known:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"There are no weights “{name}” to remove: “weights list” shows what there is."
        )
    there = [path for each in (folder, downloads) for path in each.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in there)
    try:
        for each in (folder, downloads):
            if each.is_dir():
                gone = each.with_name(f".{name}.removed")
                each.rename(gone)
                shutil.rmtree(gone)
    except OSError as error:
        raise UserError(
            ErrorCode.WEIGHTS_IN_USE,
            f"{folder} could not be removed ({error.strerror}): close programs that use it, try again.",
        ) from error
    return size

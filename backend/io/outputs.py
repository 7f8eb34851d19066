"""The files that a job leaves where the user wants them: all or none, and never over a file of somebody else's."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import ErrorCode, UserError, printable
from ..locks import exclusive_lock, refuse

PREVIEW = "preview"
GENERATED_IMAGE = "generated image"
THUMBNAIL = "thumbnail"
MESH = "mesh"
PAGE = "page"
"""What a file of ours is; only a file of the same role may take its place."""
GLB_GENERATOR = "Image to Mesh"
"""``asset.generator`` of a GLB of ours, by which it is recognized."""
PAGE_MARK = '<meta name="generator" content="Image to Mesh">'
"""In the head of an HTML page of ours."""
_PNG_KEY = "Software"
_MAX_GLB_JSON = 1 << 20
_PAGE_HEAD = 1 << 10


def png_mark(role: str) -> PngInfo:
    """The text in a PNG of ours, by which it is recognized; for Pillow's ``pnginfo``."""
    info = PngInfo()
    info.add_text(_PNG_KEY, _png_text(role))
    return info


def is_ours(path: Path, role: str) -> bool:
    """Whether this program wrote the file ``path`` in this ``role``."""
    try:
        if not path.is_file():  # a FIFO would be waited for
            return False
        with open(path, "rb") as file:
            return has_mark(file, role)
    except OSError:
        return False


def has_mark(file: BinaryIO, role: str) -> bool:
    """Whether the content of a file is what this program writes in this ``role``."""
    try:
        if role == MESH:
            return _is_our_glb(file)
        if role == PAGE:
            return PAGE_MARK.encode() in file.read(_PAGE_HEAD)
        return _is_our_png(file, role)
    except Exception:  # a file of any content; what cannot be read is not ours
        return False


def resolve_output(path: Path) -> Path:
    """The absolute path of a GLB to be written; of a link, what it leads to. Raises UserError (``bad_output``)."""
    if path.suffix.lower() != ".glb":
        raise UserError(ErrorCode.BAD_OUTPUT, f"{printable(str(path))} does not end in .glb: name the result NAME.glb.")
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
        raise UserError(
            ErrorCode.BAD_OUTPUT, f"{printable(str(path))} is no usable path: choose another name."
        ) from error


@contextlib.contextmanager
def reserve_outputs(outputs: Mapping[Path, str], needed_bytes: int, force: bool) -> Iterator[None]:
    """Hold the places of ``outputs`` (path -> role), which the block then writes, checked before it begins.

    ``force`` allows to replace files that are not ours. Raises UserError: ``bad_output`` (no such folder, a folder, not
    ours, a name that the file system does not take), ``no_permission``, ``disk_full``, ``busy``.
    """
    for path, role in outputs.items():
        _check(path, role, force)
    with contextlib.ExitStack() as locks:
        for path in outputs:
            lock = path.with_name(f".image-to-mesh-{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:8]}.lock")
            message = f"Another job is writing {path}: wait for its end, or choose another name with -o."
            try:
                locks.enter_context(exclusive_lock(lock, refuse(message)))
            except OSError as error:
                raise _unwritable(path.parent, error) from error
        for folder in {path.parent for path in outputs}:
            if shutil.disk_usage(folder).free < needed_bytes:
                raise UserError(
                    ErrorCode.DISK_FULL,
                    f"There are less than {needed_bytes / 1e6:.0f} MB free in {folder}: free some space, or choose "
                    "another folder with -o.",
                )
        yield


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files (path -> content): under temporary names first, then renamed, all or none. Raises OSError."""
    temporary: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            partial = path.with_name(f".image-to-mesh-{secrets.token_hex(8)}.partial")
            with open(partial, "xb") as file:  # never through a link that is there
                temporary[partial] = path
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        rename_together(temporary)
    finally:
        for partial in temporary:
            partial.unlink(missing_ok=True)


def rename_together(files: Mapping[Path, Path]) -> None:
    """Rename files (temporary name -> final name in the same file system), all or none.

    Each place holds either its old or its new file at any time, also when this process is killed. Raises OSError.
    """
    earlier: dict[Path, Path] = {}
    done: list[Path] = []
    try:
        for partial, path in files.items():
            if path.is_file():
                backup = partial.with_name(f"{secrets.token_hex(8)}.earlier")
                earlier[path] = backup
                try:
                    os.link(path, backup)
                except OSError:  # a file system without hard links
                    shutil.copy2(path, backup)
            partial.replace(path)
            done.append(path)
    except BaseException:
        for path in done:
            if path in earlier:
                earlier[path].replace(path)
            else:
                path.unlink()
        raise
    finally:
        for backup in earlier.values():
            backup.unlink(missing_ok=True)


def first_free(candidates: Sequence[Path], role: str, taken: Sequence[Path]) -> Path:
    """The first of ``candidates`` that is not there or ours, and none of the files ``taken``; else the last one."""
    for path in candidates:
        if not is_one_of(path, taken) and (not os.path.lexists(path) or is_ours(path, role)):
            return path
    return candidates[-1]


def is_one_of(path: Path, files: Sequence[Path]) -> bool:
    """Whether ``path`` is one of ``files``, by whatever name."""
    return path.exists() and any(file.exists() and path.samefile(file) for file in files)


def _check(path: Path, role: str, force: bool) -> None:
    if not path.parent.is_dir():
        raise UserError(ErrorCode.BAD_OUTPUT, f"There is no folder {path.parent}: create it first, or choose another.")
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(path, error) from error
    if path.is_dir():
        raise UserError(ErrorCode.BAD_OUTPUT, f"{path} is a folder: choose another name with -o.")
    if not path.is_file():
        raise UserError(ErrorCode.BAD_OUTPUT, f"{path} is not a regular file: choose another name with -o.")
    if not force and not is_ours(path, role):
        raise UserError(
            ErrorCode.BAD_OUTPUT,
            f"{path} exists and was not written by this program: choose another name with -o, or "
            "replace it with --force.",
        )


def _unwritable(path: Path, error: OSError) -> UserError:
    code = ErrorCode.NO_PERMISSION if isinstance(error, PermissionError) else ErrorCode.BAD_OUTPUT
    return UserError(code, f"{path} cannot be written ({error.strerror}): choose another name or folder with -o.")


def _is_our_png(file: BinaryIO, role: str) -> bool:
    with Image.open(file, formats=["PNG"]) as image:
        return image.info.get(_PNG_KEY) == _png_text(role)


def _png_text(role: str) -> str:
    return f"Image to Mesh, {role}"


def _is_our_glb(file: BinaryIO) -> bool:
    header = file.read(20)
    length = int.from_bytes(header[12:16], "little")
    if header[:4] != b"glTF" or header[16:] != b"JSON" or length > _MAX_GLB_JSON:
        return False
    return json.loads(file.read(length))["asset"]["generator"] == GLB_GENERATOR

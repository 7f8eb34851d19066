"""A file of tensors from anywhere -> its content, without ever running what a pickle asks for."""

from __future__ import annotations

import pickle
import re
import zipfile
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..errors import ErrorCode, UserError
from .impostors import describe_impostor


class _Ignored:
    """Stands in for what training programs write beside the tensors: takes anything, does nothing, is never used."""

    def __new__(cls, *_, **__):
        return super().__new__(cls)

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, state):
        pass


_BOOKKEEPING = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
)
"""All that the public checkpoints name besides tensors; PyTorch refuses every other name before anything is made."""
_NAME = re.compile(r"GLOBAL ([\w.]+)")
_MAX_EXPANSION = 2
"""Bytes of tensors that a pickle may declare for each byte of the file; tied weights are stored once."""
_SMALL = 1 << 20
"""Bytes that every pickle may declare."""


def read_checkpoint(path: Path) -> dict:
    """What a ``.ckpt``, ``.pth``, ``.bin`` or ``.safetensors`` file holds: names -> tensors on the CPU, or dicts.

    The tensors of a pickle stay on disk until they are used, where its format allows that. Raises UserError
    (``weights_missing``, ``weights_broken``, ``weights_refused`` for a pickle that asks for anything but tensors or
    declares more of them than the file can hold).
    """
    if not path.is_file():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There is no file {path}: check the path.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickle(path)
    except pickle.UnpicklingError as error:
        name = _NAME.search(str(error))
        if name is None:
            raise _broken(path) from error
        raise UserError(
            ErrorCode.WEIGHTS_REFUSED,
            f"{path} contains more than tensors ({name[1]}) and was not opened, because it could run code: "
            "download the original file.",
        ) from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damage shows as whatever the first wrong byte happens to mean
        raise _broken(path) from error
    if not isinstance(content, dict):
        raise UserError(ErrorCode.WEIGHTS_UNKNOWN, f"{path} contains no named tensors: download the original file.")
    return content


def check_sums(path: Path) -> None:
    """Compare the file with the checksums it carries, as most ``.ckpt`` and ``.pth`` files do: they are zip archives.

    PyTorch leaves this out. Reads all of the file. Raises UserError (``weights_broken``).
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _broken(path) from error
    if damaged is not None:
        raise _broken(path)


def _unpickle(path: Path) -> object:
    with torch.serialization.safe_globals([(_Ignored, name) for name in _BOOKKEEPING]):
        _check_declared_size(torch.load(path, map_location="meta", weights_only=True), path)
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # the format before PyTorch 1.6


def _check_declared_size(content: object, path: Path) -> None:
    """``content``: what the file holds, without memory. Raises UserError (``weights_refused``) where it is too much.

    A few bytes can declare a tensor of any size (by strides of 0), or name one tensor many times.
    """
    declared = 0
    stack, visited = [content], set()
    while stack:
        item = stack.pop()
        if isinstance(item, torch.Tensor):
            declared += item.numel() * item.element_size()
        elif isinstance(item, dict | list | tuple | set) and id(item) not in visited:
            visited.add(id(item))
            stack += item.values() if isinstance(item, dict) else item
    size = path.stat().st_size
    if declared > _MAX_EXPANSION * size + _SMALL:
        raise UserError(
            ErrorCode.WEIGHTS_REFUSED,
            f"{path} declares {declared / 1e9:,.2f} GB of tensors, but holds {size / 1e9:,.2f} GB: it was not opened; "
            "download the original file.",
        )


def _broken(path: Path) -> UserError:
    problem = describe_impostor(path) or "is damaged or incomplete: download it again"
    return UserError(ErrorCode.WEIGHTS_BROKEN, f"{path} {problem}.")

"""The files that a picture of a batch leaves, and what they are called."""

from __future__ import annotations

import io
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ..io.job_folder import VIEWS_FILE
from ..io.outputs import MESH, PREVIEW, THUMBNAIL, png_mark
from .storage import Storage

THUMBNAIL_SIZE = 128
"""Pixels along a side of each of the two images of a thumbnail."""


def result_files(name: str) -> dict[str, str]:
    """The files of the picture that is called ``name``, by what they are."""
    return {MESH: f"{name}.glb", PREVIEW: f"{name}.png", THUMBNAIL: f"thumbnails/{name}.png"}


class ResultNames:
    """Gives every picture a name of its own, in the spelling of every file system."""

    def __init__(self, storage: Storage, there: Iterable[str], force: bool, inputs: Iterable[str]):
        """``there``: the files of the storage. ``force`` allows names of files that this program did not write, but
        never those of ``inputs`` (as ``Storage.address`` has them)."""
        self._storage = storage
        self._there = {_spelling(name): name for name in there}
        self._force = force
        self._inputs = frozenset(map(_spelling, inputs))
        self._taken: set[str] = set()
        self._tried: defaultdict[str, int] = defaultdict(int)

    def take(self, files: Iterable[str]) -> None:
        """These files belong to a picture."""
        self._taken.update(map(_spelling, files))

    def choose(self, name: str) -> str:
        """``name``, or the first of ``name-2``, ``name-3``, ... whose files are free; it is taken then."""
        while True:
            self._tried[name] += 1
            count = self._tried[name]
            candidate = name if count == 1 else f"{name}-{count}"
            files = result_files(candidate)
            if all(self._is_free(file, role) for role, file in files.items()):
                self.take(files.values())
                return candidate

    def _is_free(self, file: str, role: str) -> bool:
        spelling = _spelling(file)
        if spelling in self._taken or _spelling(self._storage.address(file)) in self._inputs:
            return False
        return self._force or spelling not in self._there or self._storage.is_ours(self._there[spelling], role)


def publish(folder: Path, name: str, storage: Storage, force: bool) -> dict[str, str]:
    """Write the results of the job in ``folder`` under ``name``. Returns their names. Raises UserError and OSError."""
    files = result_files(name)
    contents = {
        MESH: (folder / "mesh.glb").read_bytes(),
        PREVIEW: (folder / "preview.png").read_bytes(),
        THUMBNAIL: _thumbnail(folder),
    }
    storage.write({files[role]: (content, role) for role, content in contents.items()}, force)
    return files


def _thumbnail(folder: Path) -> bytes:
    """The object as it was cut out of the picture, and the mesh, side by side."""
    with np.load(folder / VIEWS_FILE) as arrays:
        cutout = Image.fromarray(arrays["cutout"])
    size = THUMBNAIL_SIZE, THUMBNAIL_SIZE
    sheet = Image.new("RGB", (2 * THUMBNAIL_SIZE, THUMBNAIL_SIZE), "white")
    shown = cutout.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(shown, (0, 0), shown)
    with Image.open(folder / "thumbnail.png") as mesh:
        sheet.paste(mesh.resize(size), (THUMBNAIL_SIZE, 0))
    content = io.BytesIO()
    sheet.save(content, "PNG", pnginfo=png_mark(THUMBNAIL))
    return content.getvalue()


def _spelling(name: str) -> str:
    """What names have in common that some file system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()

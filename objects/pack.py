"""Packs of small textured meshes: one ``.npz`` file holds thousands, 4 to 7 kB each.

A pack concatenates, over all objects, four integer streams and the WebP textures; ``off_*`` arrays say where each
object begins. Positions (12 bit over [-1, 1]) and texture coordinates (12 bit over [0, 1]) are coded as zig-zag
differences, column after column; triangle indices as the distance below the highest index so far, 0 for "the next new
vertex". Every stream is split into low and high bytes, which deflate compresses well.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LEVELS = 4095
"""Largest 12-bit number."""
STREAMS = ("pos", "uv", "tri", "ttri")
TEST_DIVISOR = 50
"""Objects whose id is divisible by this are the benchmark's group of real objects and are never trained on."""


@dataclass(frozen=True)
class TexturedObject:
    """One object: centered, longest side 2, z up, usually facing -y."""

    id: int
    """Its ``id`` in the pack's manifest."""
    vertices: np.ndarray
    """(N, 3) float32 in -1..1."""
    faces: np.ndarray
    """(M, 3) int32 indices of ``vertices``, which are welded."""
    uvs: np.ndarray
    """(K, 2) float32 in 0..1, v upward."""
    uv_faces: np.ndarray
    """(M, 3) int32 indices of ``uvs``."""
    texture: np.ndarray
    """(H, W, 3) uint8, top row first."""


class ObjectPack(Sequence[TexturedObject]):
    """The objects of one file, decoded on access."""

    def __init__(self, path: str | Path):
        with np.load(path) as stored:
            arrays = dict(stored)
        self.ids: np.ndarray = arrays["id"]
        self._offsets = {name: arrays[f"off_{name}"] for name in (*STREAMS, "tex")}
        self._streams = {
            name: arrays[f"{name}_lo"].astype(np.uint16) | arrays[f"{name}_hi"].astype(np.uint16) << 8
            for name in STREAMS
        } | {"tex": arrays["tex"]}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> TexturedObject:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return TexturedObject(
            int(self.ids[index]),
            (_decode_differences(self._stream("pos", index), 3) / (LEVELS / 2) - 1).astype(np.float32),
            _decode_indices(self._stream("tri", index)),
            (_decode_differences(self._stream("uv", index), 2) / LEVELS).astype(np.float32),
            _decode_indices(self._stream("ttri", index)),
            np.asarray(Image.open(io.BytesIO(self._stream("tex", index).tobytes())).convert("RGB")),
        )

    def _stream(self, name: str, index: int) -> np.ndarray:
        begin, end = self._offsets[name][index : index + 2]
        return self._streams[name][begin:end]


def is_test_object(ids: np.ndarray) -> np.ndarray:
    """Which ids (N,) are those of the benchmark's objects: (N,) bool."""
    return ids % TEST_DIVISOR == 0


def write_pack(path: str | Path, objects: Iterable[TexturedObject]) -> None:
    """Write the file that ``ObjectPack`` reads. Vertices and texture coordinates are rounded to 12 bits."""
    coded: dict[str, list[np.ndarray]] = {name: [] for name in (*STREAMS, "tex")}
    ids = []
    for textured in objects:
        vertices, faces = _first_use_order(textured.vertices, textured.faces)
        uvs, uv_faces = _first_use_order(textured.uvs, textured.uv_faces)
        coded["pos"].append(_encode_differences(np.rint((vertices + 1) * (LEVELS / 2))))
        coded["uv"].append(_encode_differences(np.rint(uvs * LEVELS)))
        coded["tri"].append(_encode_indices(faces))
        coded["ttri"].append(_encode_indices(uv_faces))
        buffer = io.BytesIO()
        Image.fromarray(textured.texture).save(buffer, "WEBP", quality=80, method=6)
        coded["tex"].append(np.frombuffer(buffer.getvalue(), np.uint8))
        ids.append(textured.id)
    arrays: dict[str, Any] = {"id": np.array(ids, np.int32)}
    for name, pieces in coded.items():
        arrays[f"off_{name}"] = np.cumsum([0, *map(len, pieces)])
        joined = np.concatenate(pieces)
        if name == "tex":
            arrays[name] = joined
        else:
            arrays[f"{name}_lo"], arrays[f"{name}_hi"] = (joined & 255).astype(np.uint8), (joined >> 8).astype(np.uint8)
    np.savez_compressed(path, **arrays)


def _decode_differences(coded: np.ndarray, columns: int) -> np.ndarray:
    """Zig-zag coded differences, column after column -> integers (N, columns)."""
    blocks = coded.astype(np.int32).reshape(columns, -1)
    return np.cumsum((blocks >> 1) ^ -(blocks & 1), axis=1).T


def _encode_differences(values: np.ndarray) -> np.ndarray:
    """Integers (N, columns) -> (columns * N,) uint16."""
    differences = np.diff(values.astype(np.int32), axis=0, prepend=0)
    return ((differences << 1) ^ (differences >> 31)).T.astype(np.uint16).ravel()


def _decode_indices(coded: np.ndarray) -> np.ndarray:
    """0 for "the next new one", else the distance below it -> triangles (M, 3)."""
    coded = coded.astype(np.int64)
    new = coded == 0
    return (np.cumsum(new) - new - coded).astype(np.int32).reshape(-1, 3)


def _encode_indices(faces: np.ndarray) -> np.ndarray:
    """Triangles (M, 3), numbered in order of first use -> (3 M,) uint16."""
    indices = faces.ravel().astype(np.int64)
    next_new = np.concatenate([[0], np.maximum.accumulate(indices) + 1])[:-1]
    return (next_new - indices).astype(np.uint16)


def _first_use_order(values: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Renumber so that each triangle index is at most one above all before it; unused values are dropped."""
    used, first, inverse = np.unique(faces.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return values[used[order]], rank[inverse].reshape(-1, 3)

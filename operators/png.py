"""Pixels as the bytes of a PNG file. Blender's Python has no library for it, and its own writer needs a datablock."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_COLOR_TYPES = {1: 0, 3: 2, 4: 6}
"""PNG's numbers for gray, RGB and RGBA."""


def encode_png(rows: np.ndarray) -> bytes:
    """(height, width, 1, 3 or 4) uint8, top row first -> the bytes of a PNG file."""
    height, width, channels = rows.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each line begins with its filter: 0, none
    lines[:, 1:] = rows.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 3)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

"""The chunks of a PNG file."""

from __future__ import annotations

from pathlib import Path

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_OF_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")


def png_without_text(path: Path) -> bytes | None:
    """A PNG file with nothing but its pixels and how they are turned; None for a file that is no PNG.

    Pillow reads no file with texts or a color profile over 1 MiB, which editors of images do write. Raises OSError.
    """
    data = path.read_bytes()
    if not data.startswith(_SIGNATURE):
        return None
    kept, place = [_SIGNATURE], len(_SIGNATURE)
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")  # length, name, content, checksum
        if data[place + 4 : place + 8] in _OF_PIXELS:
            kept.append(data[place:end])
        place = end
    return b"".join(kept)

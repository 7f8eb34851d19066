"""What is to come of the running job, as an icon that a panel can show."""

from __future__ import annotations

from pathlib import Path

import bpy.utils.previews

_pictures: bpy.utils.previews.ImagePreviewCollection | None = None
"""Holds the last picture shown."""


def icon_of(path: Path | None) -> int:
    """The number of an icon that shows the picture file ``path``; 0 while there is none."""
    if path is None:
        return 0
    key = str(path)
    if key not in _pictures:
        if not path.is_file():
            return 0
        _pictures.clear()
        _pictures.load(key, key, "IMAGE").image_size[:]  # asking for it reads the file now: it moves when the job ends
    return _pictures[key].icon_id


def register() -> None:
    global _pictures
    _pictures = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(_pictures)

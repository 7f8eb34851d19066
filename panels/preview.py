"""The intermediate image of a running task, as an icon that a panel can show."""

from __future__ import annotations

from pathlib import Path

import bpy
import bpy.utils.previews


def previews() -> bpy.utils.previews.ImagePreviewCollection:
    """The icons of the registered extension: it holds the last image shown."""
    return bpy.types.WindowManager.image_to_mesh_previews


def icon_of(path: Path | None) -> int:
    """The number of an icon that shows the image file ``path``; 0 while there is none."""
    if path is None:
        return 0
    icons, key = previews(), str(path)
    if key not in icons:
        if not path.is_file():
            return 0
        icons.clear()
        icons.load(key, key, "IMAGE").image_size[:]  # asking for it reads the file now: it moves when the job ends
    return icons[key].icon_id


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_previews = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(previews())
    del bpy.types.WindowManager.image_to_mesh_previews

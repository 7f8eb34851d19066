"""Image files as icons that a panel can show: the intermediate image of a running task, thumbnails of results."""

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


def thumbnail_of(path: Path, version: float) -> int:
    """The number of an icon that shows the image file ``path``, read again for another ``version``; it stays in memory.
    0 where there is no such file."""
    icons, key = bpy.types.WindowManager.image_to_mesh_thumbnails, f"{path} {version}"
    if key not in icons:
        if not path.is_file():
            return 0
        icons.load(key, str(path), "IMAGE")
    return icons[key].icon_id


def register() -> None:
    bpy.types.WindowManager.image_to_mesh_previews = bpy.utils.previews.new()
    bpy.types.WindowManager.image_to_mesh_thumbnails = bpy.utils.previews.new()


def unregister() -> None:
    bpy.utils.previews.remove(bpy.types.WindowManager.image_to_mesh_thumbnails)
    del bpy.types.WindowManager.image_to_mesh_thumbnails
    bpy.utils.previews.remove(previews())
    del bpy.types.WindowManager.image_to_mesh_previews

"""A cutout as an image that Blender's own brushes paint on: what is opaque there is the object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

from ..backend.errors import ErrorCode, UserError
from .cutout_check import CutoutCheck
from .image_input import MASK
from .job_folders import PROVENANCE
from .png import encode_png

_JOB = "image_to_mesh_job"
"""Custom property of such an image: the name of the job's folder."""


def begin(context: bpy.types.Context, check: CutoutCheck) -> bpy.types.Image:
    """Show the cutout in an Image Editor, ready to be painted on. Raises UserError (``bad_image``)."""
    image = find(check)
    if image is None:
        try:
            image = bpy.data.images.load(str(check.painting))
        except RuntimeError as error:
            raise UserError(ErrorCode.BAD_IMAGE, f"The cutout cannot be read ({error}): start again.") from error
        image.name = f"Cutout of {check.record.name}"[:60]
        image.pack()
        image.filepath_raw = ""  # the job's folder stays private
        image[PROVENANCE], image[_JOB] = MASK, check.folder.name
    if context.window is not None and not bpy.app.background:
        space = _editor(context)
        space.image = image
        space.ui_mode = "PAINT"
        space.show_region_ui = True  # our panel is there too, with the button to go on
        brush = context.tool_settings.image_paint.brush
        if brush is not None and check.earlier_brush is None:
            check.earlier_brush = brush.name, brush.blend
            brush.blend = "ERASE_ALPHA"
    return image


def find(check: CutoutCheck | None) -> bpy.types.Image | None:
    """The image that is being painted on; undo may have taken it away."""
    return next((image for image in bpy.data.images if check and image.get(_JOB) == check.folder.name), None)


def write_mask(image: bpy.types.Image, check: CutoutCheck) -> Path:
    """What was painted, as a mask in the job's folder. Raises UserError (``no_object``) and OSError."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    alpha = pixels.reshape(height, width, image.channels)[::-1, :, -1:] * 255
    mask = np.clip((alpha - check.background) / (255 - check.background), 0, 1)
    if mask.max() < 0.5:
        raise UserError(ErrorCode.NO_OBJECT, "The cutout is empty: paint the object with Add Alpha.")
    path = check.folder / "mask.png"
    path.write_bytes(encode_png((mask * 255 + 0.5).astype(np.uint8)))
    return path


def end(check: CutoutCheck) -> None:
    """Take the image away; the brush paints as it did before."""
    image = find(check)
    if image is None:
        return
    name, blend = check.earlier_brush or ("", "")
    brush = bpy.data.brushes.get(name)
    if brush is not None:
        brush.blend, check.earlier_brush = blend, None
    for window, area in list(_editors()):
        if area.spaces.active.image == image:
            area.spaces.active.image = None
            area.spaces.active.ui_mode = "VIEW"
            if window.parent is not None and len(window.screen.areas) == 1 and not bpy.app.background:
                with bpy.context.temp_override(window=window):
                    bpy.ops.wm.window_close()
    bpy.data.images.remove(image)


def _editor(context: bpy.types.Context) -> bpy.types.SpaceImageEditor:
    """An Image Editor of the window, else one in a new window."""
    area = next((area for window, area in _editors() if window == context.window), None)
    if area is None:
        known = set(context.window_manager.windows)
        bpy.ops.wm.window_new()
        window = next(window for window in context.window_manager.windows if window not in known)
        area = window.screen.areas[0]
        area.type = area.ui_type = "IMAGE_EDITOR"
    return area.spaces.active


def _editors() -> Iterator[tuple[bpy.types.Window, bpy.types.Area]]:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                yield window, area

"""Images that are no file yet: on the clipboard, or just rendered. Each becomes an image of the .blend, chosen."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import bpy

from ..backend.errors import ErrorCode, UserError
from .image_input import READ_BY_BACKEND
from .reporting import report_error


class _SourceOperator:
    """Mixin of an operator that chooses another image."""

    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        try:
            context.scene.image_to_mesh.image = self.take(context)
        except Exception as error:
            return report_error(self, error)
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_paste_image(_SourceOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.paste_image"
    bl_label = "Paste Image"
    bl_description = "Use the image on the clipboard, or the image file whose path is there"

    def take(self, context) -> bpy.types.Image:
        path = _copied_file(context.window_manager.clipboard)
        if path is not None:
            return bpy.data.images.load(str(path), check_existing=True)
        known = set(bpy.data.images)
        with _image_editor(context):
            if bpy.ops.image.clipboard_paste.poll():
                bpy.ops.image.clipboard_paste()
        image = next((image for image in bpy.data.images if image not in known), None)
        if image is None:
            raise UserError(
                ErrorCode.BAD_IMAGE, "There is no image on the clipboard: copy one, or the path of an image file."
            )
        image.pack()
        return image


class IMAGE_TO_MESH_OT_use_render(_SourceOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.use_render"
    bl_label = "Use Render"
    bl_description = "Save the last render as an image of this file, as it looks now, and use it"

    @classmethod
    def poll(cls, context):
        if rendered() is None:
            cls.poll_message_set("Nothing has been rendered yet")
            return False
        return True

    def take(self, context) -> bpy.types.Image:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "Render.png"
            try:
                with _png_settings(context.scene.render.image_settings):
                    rendered().save_render(str(path), scene=context.scene)
            except RuntimeError as error:
                raise UserError(ErrorCode.BAD_IMAGE, "There is no render to use: render an image first.") from error
            image = bpy.data.images.load(str(path))
            image.pack()
        image.filepath_raw = f"//{image.name}"
        return image


def rendered() -> bpy.types.Image | None:
    """The last render, whose pixels no script can read; there may be none in it yet."""
    return next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)


def _copied_file(text: str) -> Path | None:
    """The image file that a text names, as a path or as file managers copy it."""
    line = next(iter(text.strip().splitlines()), "").strip().strip('"')
    path = Path(url2pathname(urlparse(line).path) if line.startswith("file:") else line)
    try:
        return path if path.suffix.lower() in READ_BY_BACKEND and path.is_absolute() and path.is_file() else None
    except (OSError, ValueError):  # a text that is no path
        return None


@contextlib.contextmanager
def _image_editor(context) -> Iterator[None]:
    """A context in which Blender's own operator can put an image into an Image Editor: one that is open, else this area
    for the moment."""
    areas = [area for window in context.window_manager.windows for area in window.screen.areas]
    area = next((area for area in areas if area.type == "IMAGE_EDITOR"), context.area)
    if area is None:
        yield
        return
    kind, shown = area.ui_type, None
    if area.type != "IMAGE_EDITOR":
        area.type = "IMAGE_EDITOR"
    shown = area.spaces.active.image
    try:
        with context.temp_override(area=area, region=next(each for each in area.regions if each.type == "WINDOW")):
            yield
    finally:
        if area.ui_type == kind:
            area.spaces.active.image = shown
        else:
            area.ui_type = kind


@contextlib.contextmanager
def _png_settings(settings: bpy.types.ImageFormatSettings) -> Iterator[None]:
    """8-bit RGBA PNG for the moment."""
    wanted = {"media_type": "IMAGE", "file_format": "PNG", "color_mode": "RGBA", "color_depth": "8"}
    wanted = {name: value for name, value in wanted.items() if hasattr(settings, name)}  # media_type: from Blender 5.0
    before = {name: getattr(settings, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(settings, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


register, unregister = bpy.utils.register_classes_factory((IMAGE_TO_MESH_OT_paste_image, IMAGE_TO_MESH_OT_use_render))

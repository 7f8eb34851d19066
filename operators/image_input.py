"""Which image is meant, and that image as a file the backend can read. No datablock is changed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np

from ..backend.errors import ErrorCode, UserError
from .job_folders import PROVENANCE

READ_BY_BACKEND = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga", ".gif"}
"""File types sent as they are; the pixels of any other image are written to a PNG."""


def active_image(context) -> bpy.types.Image | None:
    """The image that Image to Mesh would take now.

    Inside an Image Editor the one shown there; else the one picked in the panel, else one shown in any Image Editor of
    the window, else the active object's: that of an image empty, or its image texture (never that of a result of ours).
    """
    in_this_editor = context.space_data.image if _is_image_editor(context.area) else None
    candidates = [in_this_editor, context.scene.image_to_mesh.image, *_shown(context), _texture(context.active_object)]
    return next((image for image in candidates if image is not None and _has_pixels(image)), None)


def inputs(context) -> tuple[int, str]:
    """What the panel would use now, to notice that it is something else: the image's ``session_uid`` (0: none) and the
    prompt."""
    image = active_image(context)
    return image.session_uid if image is not None else 0, context.scene.image_to_mesh.prompt.strip()


def object_name(image: bpy.types.Image) -> str:
    """What the object is called: the image's file name without its extension, else the datablock's name."""
    stem = Path(bpy.path.basename(image.filepath)).stem if image.filepath else ""
    return stem or image.name


def image_file(image: bpy.types.Image, folder: Path) -> Path:
    """The image as a file: its own if that is what Blender shows, else a new PNG in ``folder``. Raises UserError."""
    path = Path(bpy.path.abspath(image.filepath, library=image.library)) if image.filepath else None
    readable = path is not None and path.suffix.lower() in READ_BY_BACKEND
    if image.source == "FILE" and not image.is_dirty:
        if image.packed_file is not None and readable:
            copy = folder / f"image{path.suffix.lower()}"
            copy.write_bytes(image.packed_file.data)
            return copy
        if path is not None and readable and path.is_file():
            return path
    width, height = image.size  # loads the image when it was not yet
    if width * height == 0:
        if path is not None and path.is_file():
            return path  # the backend says what is wrong with it
        missing = f"“{path}” is missing" if path else f"“{image.name}” has no pixels"
        raise UserError(ErrorCode.BAD_IMAGE, f"The image {missing}: locate the file, or choose another image.")
    target = folder / "image.png"
    target.write_bytes(_png(_straight_srgb(image, width, height)))
    return target


def _is_image_editor(area) -> bool:
    return area is not None and area.type == "IMAGE_EDITOR"


def _shown(context) -> list:
    """Images open in the Image Editors of the window, or, without a window, of any."""
    windows = [context.window] if context.window else context.window_manager.windows
    areas = [area for window in windows for area in window.screen.areas if _is_image_editor(area)]
    return [area.spaces.active.image for area in areas]


def _texture(obj) -> bpy.types.Image | None:
    """The image of an image empty, which is what an image file dropped on a 3D View becomes; else the image texture of
    an object's active material: the active node's, else the first one's."""
    if obj is not None and obj.type == "EMPTY":
        return obj.data
    material = obj.active_material if obj is not None and PROVENANCE not in obj else None
    if material is None or material.node_tree is None:
        return None
    nodes = [material.node_tree.nodes.active, *material.node_tree.nodes]
    return next((node.image for node in nodes if node is not None and node.type == "TEX_IMAGE" and node.image), None)


def _has_pixels(image: bpy.types.Image) -> bool:
    """Whether a script may read the image's pixels; those of renders and viewers it may not."""
    return image.type not in {"RENDER_RESULT", "COMPOSITING"} and image.source != "MOVIE"


def _straight_srgb(image: bpy.types.Image, width: int, height: int) -> np.ndarray:
    """The image's pixels as (height, width, 3 or 4) uint8, top row first, straight alpha, sRGB."""
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(height, width, image.channels)[::-1]
    color, alpha = pixels[..., :3], pixels[..., 3:4]
    if image.channels < 3:
        color, alpha = np.repeat(pixels[..., :1], 3, axis=-1), pixels[..., 1:2]
    if image.is_float:  # Blender holds floats scene-linear with premultiplied alpha, bytes as they are in the file
        if alpha.shape[-1] and image.alpha_mode != "CHANNEL_PACKED":
            color = np.divide(color, alpha, out=np.zeros_like(color), where=alpha > 0)
        color = np.clip(color, 0, 1)
        color = np.where(color <= 0.0031308, 12.92 * color, 1.055 * color ** (1 / 2.4) - 0.055)
    if image.alpha_mode == "NONE":
        alpha = alpha[..., :0]
    return (np.concatenate([color, alpha], -1).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _png(rows: np.ndarray) -> bytes:
    """(height, width, 3 or 4) uint8 -> the bytes of a PNG file."""
    height, width, channels = rows.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each line begins with its filter: 0, none
    lines[:, 1:] = rows.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 3)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")

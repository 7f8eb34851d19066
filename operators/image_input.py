"""Which image is meant, and that image as a file the backend can read. No datablock is changed."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..backend.errors import ErrorCode, UserError
from .image_pixels import encode_pixels, read_pixels
from .job_folders import PROVENANCE

READ_BY_BACKEND = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga", ".gif"}
"""File types sent as they are; the pixels of any other image are written to a PNG."""

MASK = "mask"
"""Value of ``PROVENANCE`` of an image that a cutout is painted on."""


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


def image_file(image: bpy.types.Image, folder: Path, name: str = "image") -> Path:
    """The image as a file: its own if that is what Blender shows, else a new one in ``folder``, called ``name`` and its
    ending. Raises UserError."""
    path = Path(bpy.path.abspath(image.filepath, library=image.library)) if image.filepath else None
    if path is not None and is_file(image):
        if image.packed_file is None:
            return path
        copy = folder / f"{name}{path.suffix.lower()}"
        copy.write_bytes(image.packed_file.data)
        return copy
    width, height = image.size  # loads the image when it was not yet
    if width * height == 0:
        if path is not None and path.is_file():
            return path  # the backend says what is wrong with it
        missing = f"“{path}” is missing" if path else f"“{image.name}” has no pixels"
        raise UserError(ErrorCode.BAD_IMAGE, f"The image {missing}: locate the file, or choose another image.")
    target = folder / f"{name}.png"
    target.write_bytes(encode_pixels(read_pixels(image)))
    return target


def is_file(image: bpy.types.Image) -> bool:
    """Whether a file, on disk or packed, shows what Blender shows, so that no pixel has to be read."""
    if image.source != "FILE" or image.is_dirty or Path(image.filepath).suffix.lower() not in READ_BY_BACKEND:
        return False
    return image.packed_file is not None or Path(bpy.path.abspath(image.filepath, library=image.library)).is_file()


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
    """Whether the image may be taken. A script cannot read the pixels of renders and viewers; a mask of ours is being
    painted for another image."""
    is_mask = image.get(PROVENANCE) == MASK
    return image.type not in {"RENDER_RESULT", "COMPOSITING"} and image.source != "MOVIE" and not is_mask

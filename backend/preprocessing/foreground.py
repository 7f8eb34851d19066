"""Cut the object out of the image and center it, so that its longer side fills 75 % of a square canvas.

The canvas and the network's input repeat One-2-3-45 (arXiv 2306.16928) to the last count where the alpha is the same.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ErrorCode, UserError
from ..types import Cutout
from .grabcut import grabcut
from .matting import decontaminate
from .rembg import predict_alpha

FILL = 0.75
"""Share of the canvas that the object's longer side fills."""
MAX_CANVAS = 2048
"""Pixels; larger canvases are reduced to this."""
MIN_OBJECT_SHARE = 0.001
"""Objects that cover less of the image than this are too small to reconstruct."""
MAX_OBJECT_SHARE = 0.97
"""Where a mask that was not given covers more than this, the background was not recognized."""
FAINT = 1.5 / 255
"""Alpha below this is invisible: it neither counts nor widens the bounding box."""
REFERENCE_SIDE = 512
"""Pixels of the longer side that the reference reduces its input image to."""


def cut_out(image: np.ndarray) -> Cutout:
    """Image (H, W, 4) float32 RGBA 0..1, straight alpha -> the object alone, centered.

    A useful alpha channel is taken as it is; else one of rembg's models where one is on disk; else GrabCut.
    Raises UserError ``no_object`` when nothing, everything or next to nothing is recognized as the object.
    """
    alpha = image[..., 3]
    if alpha.max() < 0.05:
        raise UserError(ErrorCode.NO_OBJECT, "The image is fully transparent: use an image that shows an object.")
    color = np.ascontiguousarray(image[..., :3])
    if _is_useful(alpha):
        method = "alpha"
    else:
        predicted = predict_alpha(color)
        method = "grabcut" if predicted is None else "rembg"
        color, alpha = grabcut(color) if predicted is None else (decontaminate(color, predicted), predicted)
    alpha = np.where(alpha < FAINT, 0, alpha)
    _check_share(float(np.mean(alpha > 0.5)), method)
    canvas_image, canvas = _center(np.dstack([color, alpha]).astype(np.float32))
    return Cutout(canvas_image, method, canvas)


def shrink_to_reference_size(image: np.ndarray) -> np.ndarray:
    """Image (H, W, 4) as the reference takes it: its longer side at most ``REFERENCE_SIDE`` pixels."""
    reduced = _to_pillow(image)
    reduced.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(reduced, np.float32) / 255


def composite_on_white(cutout: Cutout, size: int) -> np.ndarray:
    """The network's input: the cutout as (size, size, 3) float32 on white, a whole number of 255ths in each channel.

    Lanczos on premultiplied 8-bit colors, composited in double precision and truncated, all as the reference does.
    """
    rgba = np.asarray(_resize(cutout.image, size), np.float64) / 255
    color, alpha = rgba[..., :3], rgba[..., 3:]
    on_white = np.floor((color * alpha + (1 - alpha)) * 255)
    return (on_white / 255).astype(np.float32)


def resize_alpha(cutout: Cutout, size: int) -> np.ndarray:
    """The alpha that belongs to ``composite_on_white``: (size, size) float32 0..1."""
    return np.asarray(_resize(cutout.image, size), np.float32)[..., 3] / 255


def _resize(rgba: np.ndarray, size: int) -> Image.Image:
    """Square RGBA (S, S, 4) -> size x size by Lanczos in 8 bits.

    Pillow premultiplies RGBA before it resamples, so hidden colors do not bleed into the edge.
    """
    return _to_pillow(rgba).resize((size, size), Image.Resampling.LANCZOS)


def _to_pillow(rgba: np.ndarray) -> Image.Image:
    return Image.fromarray((rgba * 255 + 0.5).astype(np.uint8))


def _is_useful(alpha: np.ndarray) -> bool:
    """Part transparent, part opaque; rounded corners alone (under 1 % transparent) do not cut an object out."""
    return bool(np.mean(alpha < 0.1) >= 0.01 and np.mean(alpha > 0.5) >= MIN_OBJECT_SHARE)


def _check_share(share: float, method: str) -> None:
    """Raises UserError ``no_object`` where the object covers too small or too large a ``share`` of the image."""
    if share < MIN_OBJECT_SHARE:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "No object was found in the image: use an image of one object that stands out from its background, "
            "or cut it out yourself and save it with a transparent background.",
        )
    if method != "alpha" and share > MAX_OBJECT_SHARE:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "The object could not be separated from its background, because nearly the whole image was selected: "
            "leave some plain background around it, or save it with a transparent background.",
        )


def _center(rgba: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    """RGBA (H, W, 4) -> a square canvas (S, S, 4), S at most ``MAX_CANVAS``; its left, top and side in the image."""
    rows, columns = np.flatnonzero(rgba[..., 3].any(1)), np.flatnonzero(rgba[..., 3].any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = bottom - top, right - left
    side = int(max(height, width) / FILL)
    row, column = side // 2 - height // 2, side // 2 - width // 2
    canvas = np.zeros((side, side, 4), np.float32)
    canvas[row : row + height, column : column + width] = rgba[top:bottom, left:right]
    if side > MAX_CANVAS:
        canvas = np.asarray(_resize(canvas, MAX_CANVAS), np.float32) / 255
    return canvas, (float(left - column), float(top - row), float(side))

"""Cut the object out of the picture and center it, so that its longer side fills 75 % of a square canvas.

The canvas and the network's input follow One-2-3-45 (arXiv 2306.16928) to the last count where the alpha is the same.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ErrorCode, UserError
from ..types import Cutout
from .grabcut import decontaminate, grabcut
from .rembg import find_alpha

FILL = 0.75
"""Share of the canvas that the object's longer side fills."""
LARGEST_CANVAS = 2048
SMALLEST_SHARE = 0.001
"""Objects below this share of the picture are too small to mean anything."""
FAINT = 1.5 / 255
"""Alpha below this is invisible: it neither counts nor widens the bounding box."""


def cut_out(picture: np.ndarray) -> Cutout:
    """Picture (H, W, 4) float32 RGBA 0..1, straight alpha -> the object alone, centered.

    A useful alpha channel is taken as it is; else a model of rembg's where one is on disk; else GrabCut.
    Raises UserError ``no_object`` when nothing, everything or next to nothing is found.
    """
    alpha = picture[..., 3]
    if alpha.max() < 0.05:
        raise UserError(ErrorCode.NO_OBJECT, "The picture is fully transparent. Use a picture that shows an object.")
    color = np.ascontiguousarray(picture[..., :3])
    if _is_useful(alpha):
        method = "alpha"
    else:
        found = find_alpha(color)
        method = "grabcut" if found is None else "rembg"
        color, alpha = grabcut(color) if found is None else (decontaminate(color, found), found)
    alpha = np.where(alpha < FAINT, 0, alpha)
    _check(alpha, method)
    image, canvas = _center(np.dstack([color, alpha]).astype(np.float32))
    return Cutout(image, method, canvas)


def shrink(picture: np.ndarray) -> np.ndarray:
    """Picture (H, W, 4) as the reference takes it: its longer side at most 512 pixels."""
    small = _to_pillow(picture)
    small.thumbnail((512, 512), Image.Resampling.LANCZOS)
    return np.asarray(small, np.float32) / 255


def resize(cutout: Cutout, size: int) -> np.ndarray:
    """The network's input: the cutout at (size, size, 3) float32 on white, a whole number of 255ths in each channel.

    Lanczos on premultiplied 8-bit colors, composited in double precision and truncated, all as the reference does.
    """
    rgba = np.asarray(_small(cutout, size), np.float64) / 255
    color, alpha = rgba[..., :3], rgba[..., 3:]
    on_white = np.floor((color * alpha + (1 - alpha)) * 255)
    return (on_white / 255).astype(np.float32)


def resize_mask(cutout: Cutout, size: int) -> np.ndarray:
    """The alpha that belongs to ``resize``: (size, size) float32 0..1."""
    return np.asarray(_small(cutout, size), np.float32)[..., 3] / 255


def _small(cutout: Cutout, size: int) -> Image.Image:
    # Pillow premultiplies RGBA before it resamples, so hidden colors do not bleed into the edge.
    return _to_pillow(cutout.image).resize((size, size), Image.Resampling.LANCZOS)


def _to_pillow(rgba: np.ndarray) -> Image.Image:
    return Image.fromarray((rgba * 255 + 0.5).astype(np.uint8))


def _is_useful(alpha: np.ndarray) -> bool:
    """Part transparent, part opaque; rounded corners alone (under 1 % transparent) do not cut an object out."""
    return bool(np.mean(alpha < 0.1) >= 0.01 and np.mean(alpha > 0.5) >= SMALLEST_SHARE)


def _check(alpha: np.ndarray, method: str) -> None:
    share = float(np.mean(alpha > 0.5))
    if share < SMALLEST_SHARE:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "No object was found in the picture. Use a picture of one object that stands out from its background, "
            "or cut it out yourself and save it with a transparent background.",
        )
    if method != "alpha" and share > 0.97:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "The object could not be told from its background: nearly the whole picture was taken for it. "
            "Leave some plain background around it, or save it with a transparent background.",
        )


def _center(rgba: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
    """RGBA (H, W, 4) -> square canvas (S, S, 4), S at most LARGEST_CANVAS, and its place in the picture."""
    rows, columns = np.flatnonzero(rgba[..., 3].any(1)), np.flatnonzero(rgba[..., 3].any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = bottom - top, right - left
    side = int(max(height, width) / FILL)
    row, column = side // 2 - height // 2, side // 2 - width // 2
    canvas = np.zeros((side, side, 4), np.float32)
    canvas[row : row + height, column : column + width] = rgba[top:bottom, left:right]
    if side > LARGEST_CANVAS:
        size = (LARGEST_CANVAS, LARGEST_CANVAS)
        smaller = _to_pillow(canvas).resize(size, Image.Resampling.LANCZOS)
        canvas = np.asarray(smaller, np.float32) / 255
    return canvas, (float(left - column), float(top - row), float(side))

"""The object's square canvas, which its longer side fills to 75 %, and the network's input made of it.

Both repeat One-2-3-45 (arXiv 2306.16928) to the last count where the alpha is the same.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..data_types import Cutout

FILL = 0.75
"""Share of the canvas that the object's longer side fills."""
MAX_CANVAS = 2048
"""Pixels; larger canvases are reduced to this."""
REFERENCE_SIDE = 512
"""Pixels of the longer side that the reference reduces its input image to."""


def center(rgba: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float]]:
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


def alpha_in_image(cutout: Cutout, height: int, width: int) -> np.ndarray:
    """The cutout's alpha where it is in its image of ``height`` x ``width`` pixels: (height, width) float32 0..1."""
    left, top, side = map(int, cutout.canvas)
    alpha = np.asarray(_resize(cutout.image, side), np.float32)[..., 3] / 255
    whole = np.zeros((height, width), np.float32)
    rows, columns = slice(max(0, top), min(height, top + side)), slice(max(0, left), min(width, left + side))
    whole[rows, columns] = alpha[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole


def shrink_to_reference_size(image: np.ndarray) -> np.ndarray:
    """Image (H, W, 4) as the reference takes it: its longer side at most ``REFERENCE_SIDE`` pixels."""
    reduced = _to_pillow(image)
    reduced.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(reduced, np.float32) / 255


def resize_on_white(cutout: Cutout, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The network's input: the cutout as (size, size, 3) float32 on white, a whole number of 255ths in each channel,
    and the alpha that belongs to it, (size, size) float32 0..1.

    Lanczos on premultiplied 8-bit colors, composited in double precision and truncated, all as the reference does.
    """
    resized = np.asarray(_resize(cutout.image, size))
    rgba = resized.astype(np.float64) / 255
    color, alpha = rgba[..., :3], rgba[..., 3:]
    on_white = np.floor((color * alpha + (1 - alpha)) * 255)
    return (on_white / 255).astype(np.float32), resized[..., 3].astype(np.float32) / 255


def _resize(rgba: np.ndarray, size: int) -> Image.Image:
    """Square RGBA (S, S, 4) -> size x size by Lanczos in 8 bits.

    Pillow premultiplies RGBA before it resamples, so hidden colors do not bleed into the edge.
    """
    return _to_pillow(rgba).resize((size, size), Image.Resampling.LANCZOS)


def _to_pillow(rgba: np.ndarray) -> Image.Image:
    scaled = rgba * 255
    scaled += 0.5  # in place: a canvas of a photograph has 17 million numbers
    return Image.fromarray(scaled.astype(np.uint8))

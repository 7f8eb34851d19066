"""The pixels of an image datablock: copied in Blender's main thread, and turned into a file in any."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from .png import encode_png

_ROWS = 64
"""Rows that are converted at once: few enough to stay in the processor's cache."""
_LEVELS = 1 << 16
"""Linear values that are told apart, which is finer than 8 bits of sRGB everywhere."""


@dataclass(frozen=True)
class Pixels:
    """What Blender holds of an image."""

    values: np.ndarray
    """(H, W, C) float32, bottom row first."""
    is_linear: bool
    """Scene-linear, as Blender holds floats; else sRGB."""
    is_premultiplied: bool
    has_alpha: bool


def read_pixels(image: bpy.types.Image) -> Pixels:
    """Copy an image's pixels; a tenth of a second for 4096 x 4096. Main thread only."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    has_alpha = image.channels in (2, 4) and image.alpha_mode != "NONE"
    is_premultiplied = image.is_float and has_alpha and image.alpha_mode != "CHANNEL_PACKED"
    return Pixels(values.reshape(height, width, image.channels), image.is_float, is_premultiplied, has_alpha)


def encode_pixels(pixels: Pixels) -> bytes:
    """A PNG with straight alpha, 8 bits of sRGB; seconds for 4096 x 4096. Any thread."""
    height, width, channels = pixels.values.shape
    colors = 3 if channels >= 3 else 1
    rows = np.empty((height, width, 3 + pixels.has_alpha), np.uint8)
    levels = _srgb_levels()
    for first in range(0, height, _ROWS):
        block = pixels.values[::-1][first : first + _ROWS]
        color, alpha = block[..., :colors], block[..., colors : colors + 1]
        if pixels.is_premultiplied:
            color = np.divide(color, alpha, out=np.zeros_like(color), where=alpha > 0)
        color = np.clip(np.nan_to_num(color), 0, 1)
        if pixels.is_linear:
            rows[first : first + _ROWS, :, :3] = levels[(color * (_LEVELS - 1) + 0.5).astype(np.uint16)]
        else:
            rows[first : first + _ROWS, :, :3] = color * 255 + 0.5
        if pixels.has_alpha:
            rows[first : first + _ROWS, :, 3:] = np.clip(alpha, 0, 1) * 255 + 0.5
    return encode_png(rows)


def _srgb_levels() -> np.ndarray:
    """(65536,) uint8: linear values from 0 to 1 as sRGB."""
    linear = np.linspace(0, 1, _LEVELS)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (srgb * 255 + 0.5).astype(np.uint8)

"""Bilinear samples of images and textures."""

from __future__ import annotations

import numpy as np


def sample_bilinear(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Samples (P,) or (P, C) of an image (H, W) or (H, W, C) at pixel coordinates (P, 2), column first, clamped at the
    border.

    Pixel (i, j)'s center is at (i + 0.5, j + 0.5). A floating-point image is interpolated in its own precision, an
    integer one in float32.
    """
    height, width = image.shape[:2]
    dtype = image.dtype if image.dtype.kind == "f" else np.float32
    column, row = np.clip(pixels[:, 0] - 0.5, 0, width - 1), np.clip(pixels[:, 1] - 0.5, 0, height - 1)
    left, top = column.astype(int), row.astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x, y = (column - left).astype(dtype), (row - top).astype(dtype)
    if image.ndim == 3:
        x, y = x[:, None], y[:, None]
    flat = image.reshape(-1, *image.shape[2:])  # take() of one index is several times faster than an index of two
    top, bottom = top * width, bottom * width
    upper = flat.take(top + left, 0) * (1 - x) + flat.take(top + right, 0) * x
    lower = flat.take(bottom + left, 0) * (1 - x) + flat.take(bottom + right, 0) * x
    return upper * (1 - y) + lower * y


def sample_texture(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """Colors (P, 3) float32 0..1 of a texture (T, T, 3) uint8 at uvs (P, 2) in 0..1, origin bottom-left."""
    height, width = texture.shape[:2]
    pixels = np.stack([uvs[:, 0] * width, (1 - uvs[:, 1]) * height], -1)
    return sample_bilinear(texture, pixels) / np.float32(255)

"""Samples of textures."""

from __future__ import annotations

import numpy as np

from ..image_filters import sample_bilinear


def sample_texture(texture: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """Colors (P, 3) float32 0..1 of a texture (T, T, 3) uint8 at uvs (P, 2) in 0..1, origin bottom-left."""
    height, width = texture.shape[:2]
    pixels = np.stack([uvs[:, 0] * width, (1 - uvs[:, 1]) * height], -1)
    return sample_bilinear(texture, pixels) / np.float32(255)

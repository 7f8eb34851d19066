"""How an object's surface is shaded and colored, alike in training and in the benchmark."""

from __future__ import annotations

import numpy as np
from PIL import Image

SMOOTH_COSINE = 0.8
"""A corner is shaded smoothly if its triangle deviates from the vertex normal by less than 37 degrees."""
PALETTE_PIXELS = 64 * 64
"""A texture with at most so many pixels is a palette: its colors have hard borders."""


def corner_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (M, 3, 3) of every triangle's corners: the vertex normal where it is close to the triangle's own,
    else the triangle's (so that edges stay sharp)."""
    corners = vertices[faces]
    flat = _normalize(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    summed = np.zeros_like(vertices)
    for corner in range(3):
        toward = [_normalize(corners[:, (corner + step) % 3] - corners[:, corner]) for step in (1, 2)]
        # Weighted by the angle, so that how a polygon is split into triangles does not matter.
        angle = np.arccos(np.clip((toward[0] * toward[1]).sum(-1, keepdims=True), -1, 1))
        np.add.at(summed, faces[:, corner], angle * flat)
    flat, smooth = flat[:, None], _normalize(summed)[faces]
    return np.where((flat * smooth).sum(-1, keepdims=True) > SMOOTH_COSINE, smooth, flat).astype(np.float32)


def resize_texture(texture: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 -> (size, size, 3); palettes of a few pixels keep their hard borders."""
    if texture.shape[:2] == (size, size):
        return texture
    is_palette = texture.shape[0] * texture.shape[1] <= PALETTE_PIXELS
    method = Image.Resampling.NEAREST if is_palette else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(texture).resize((size, size), method))


def _normalize(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

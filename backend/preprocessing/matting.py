"""Alpha matting at the edge of a mask, and colors freed of the background that shows through there."""

from __future__ import annotations

import cv2
import numpy as np

from ..image_filters import nearest_values

OPAQUE = 0.98
"""Alpha from which on a pixel shows no background."""


def matte(color: np.ndarray, mask: np.ndarray, band: float) -> tuple[np.ndarray, np.ndarray]:
    """Colors (H, W, 3) and a mask (H, W) 0..1 whose edge is known to within ``band`` pixels -> decontaminated colors
    (H, W, 3) and a soft alpha (H, W), all float32.

    In the band around the edge each pixel is a mix of the nearest certain foreground color and the nearest certain
    background color; the alpha is its position between the two. Where those colors are alike, the blurred mask decides.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    alpha = np.zeros(mask.shape, np.float32)
    if not len(rows):
        return color, alpha
    margin = int(6 * band)
    box = tuple(slice(max(0, axis[0] - margin), axis[-1] + 1 + margin) for axis in (rows, columns))
    clean = color.copy()
    clean[box], alpha[box] = _matte(color[box], mask[box], band)
    return clean, alpha


def _matte(color: np.ndarray, mask: np.ndarray, band: float) -> tuple[np.ndarray, np.ndarray]:
    """``matte`` of the part of the image that the object is in."""
    inside, outside = _erode(mask > 0.5, band), _erode(mask <= 0.5, band)
    if not inside.any():
        return color, (mask > 0.5).astype(np.float32)
    unknown = ~(inside | outside)
    smoothed = cv2.GaussianBlur(color, (0, 0), max(0.6, band / 2))
    foreground = nearest_values(smoothed, inside, unknown)
    background = nearest_values(smoothed, outside, unknown) if outside.any() else 1 - foreground
    span = foreground - background
    length = np.einsum("nc,nc->n", span, span)
    position = np.einsum("nc,nc->n", color[unknown] - background, span) / np.maximum(length, 1e-6)
    trust = np.clip(length / 0.02, 0, 1)
    alpha = inside.astype(np.float32)
    blurred_mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, band / 3))
    alpha[unknown] = np.clip(trust * position + (1 - trust) * blurred_mask[unknown], 0, 1)
    return decontaminate(color, alpha), alpha


def decontaminate(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colors (H, W, 3) in which pixels that show some background, by ``alpha`` (H, W), take the color of the nearest
    pixel that shows none."""
    opaque = alpha > OPAQUE
    mixed = (alpha > 0) & ~opaque
    clean = color.copy()
    if opaque.any():
        clean[mixed] = nearest_values(color, opaque, mixed)
    return clean


def _erode(mask: np.ndarray, distance: float) -> np.ndarray:
    """The pixels of ``mask`` (H, W) farther than ``distance`` from its edge; the image border is no edge."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return (cv2.distanceTransform(padded, cv2.DIST_L2, 5) > distance)[1:-1, 1:-1]

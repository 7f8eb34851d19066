"""Filters on images, and samples of them, that several stages need."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

SAMPLES_A_ROW = 4096
"""cv2.remap takes at most 32767 rows of samples, and as many in a row."""


def nearest_values(image: np.ndarray, known: np.ndarray, query: np.ndarray) -> np.ndarray:
    """For each pixel of ``query`` (H, W) bool, the value (C,) that ``image`` (H, W, C) has at the nearest pixel of
    ``known`` (H, W) bool: (number of queried pixels, C)."""
    unknown = (~known).astype(np.uint8)
    labels = np.asarray(
        cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1], np.int32
    )
    index = np.zeros(labels.max() + 1, np.int64)
    index[labels[known]] = np.flatnonzero(known)
    return image.reshape(-1, image.shape[-1])[index[labels[query]]]


def sample_bilinear(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Samples (P,) or (P, C) of an image (H, W) or (H, W, C) at pixel coordinates (P, 2), column first, in its own
    type. Pixel (i, j)'s center is at (i + 0.5, j + 0.5), and border pixels repeat outside.

    cv2.remap rounds positions to 1/32 of a pixel (docs/adr/045-one-bilinear-sampler.md).
    """
    count = len(pixels)
    rows = max(1, -(-count // SAMPLES_A_ROW))
    positions = np.zeros((rows * SAMPLES_A_ROW, 2), np.float32)
    positions[:count] = pixels - 0.5
    none: Any = None  # OpenCV's declarations do not allow None for the second map, which it does without
    sampled = cv2.remap(
        image, positions.reshape(rows, SAMPLES_A_ROW, 2), none, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return sampled.reshape(-1, *image.shape[2:])[:count]


def shrink(image: np.ndarray, scale: float) -> np.ndarray:
    """An image (H, W) or (H, W, C), smaller by a ``scale`` below 1; itself where that is not smaller."""
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

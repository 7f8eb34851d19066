"""Filters on images that several stages need."""

from __future__ import annotations

import cv2
import numpy as np


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


def shrink(image: np.ndarray, scale: float) -> np.ndarray:
    """An image (H, W) or (H, W, C), smaller by a ``scale`` below 1; itself where that is not smaller."""
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

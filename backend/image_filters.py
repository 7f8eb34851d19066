"""Filters on images that several stages need."""

from __future__ import annotations

import cv2
import numpy as np


def nearest_values(image: np.ndarray, known: np.ndarray, query: np.ndarray) -> np.ndarray:
    """For each pixel of ``query`` (H, W) bool, the value (C,) that ``image`` (H, W, C) has at the nearest pixel of
    ``known`` (H, W) bool: (number of queried pixels, C)."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(labels.max() + 1, np.int64)
    index[labels[known]] = np.flatnonzero(known)
    return image.reshape(-1, image.shape[-1])[index[labels[query]]]

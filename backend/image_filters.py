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

"""Where an object seen in one silhouette lies in another, similar one of the same camera."""

from __future__ import annotations

import cv2
import numpy as np

LARGEST_CHANGE = 1.35
"""Most that the object's size may differ from what the silhouettes' areas say."""
SIZES = 17
"""Sizes that are tried, evenly in their logarithm."""


def register_silhouette(mask: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Masks (S, S) 0..1 -> the transform (2, 3) that scales and shifts the first so that both overlap best
    (intersection over union). Shifts are whole pixels. Neither may be empty."""
    size = len(mask)
    half = (size - 1) / 2
    spectrum, area = np.fft.rfft2(reference), reference.sum()
    likely = np.sqrt(area / mask.sum())
    best, transform = -1.0, np.eye(2, 3)
    for factor in np.geomspace(1 / LARGEST_CHANGE, LARGEST_CHANGE, SIZES):
        scale = likely * factor
        candidate = np.array([[scale, 0, half - scale * half], [0, scale, half - scale * half]])
        scaled = warp(mask, candidate, 0.0)
        overlap = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(scaled)), mask.shape)
        score = overlap.max() / (area + scaled.sum() - overlap.max())
        if score > best:
            # A shift beyond half of the image is one in the other direction.
            row, column = (np.array(np.unravel_index(overlap.argmax(), mask.shape)) + half) % size - half
            best, transform = score, candidate + np.array([[0, 0, round(column)], [0, 0, round(row)]])
    return transform


def warp(image: np.ndarray, transform: np.ndarray, border: float) -> np.ndarray:
    """An image (S, S) or (S, S, C) moved by ``transform`` (2, 3) on a background of ``border``."""
    flags = cv2.INTER_AREA if transform[0, 0] < 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(image, transform, image.shape[:2], flags=flags, borderValue=(border,) * 3)

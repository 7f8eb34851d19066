"""Where the object is in a picture on white."""

from __future__ import annotations

import cv2
import numpy as np

CLEAR, SOLID = 6 / 255, 26 / 255
"""Distance from white up to which a pixel is background, and from which it is wholly object."""
SPECK = 0.001
"""Pieces of object or background below this share of the picture are the generator's noise."""


def mask_on_white(images: np.ndarray) -> np.ndarray:
    """Pictures (N, H, W, 3) 0..1 on white -> masks (N, H, W) float32, 1 on the object, soft at its edge."""
    return np.stack([_mask(image) for image in images])


def _mask(image: np.ndarray) -> np.ndarray:
    distance = 1 - image.min(axis=-1)
    soft = np.clip((distance - CLEAR) / (SOLID - CLEAR), 0, 1).astype(np.float32)
    white = (soft == 0).astype(np.uint8)
    smallest = SPECK * white.size

    _, pieces, sizes, _ = cv2.connectedComponentsWithStats(1 - white, connectivity=8)
    soft[(sizes[pieces, cv2.CC_STAT_AREA] < smallest) & (white == 0)] = 0

    # White that the object encloses is either a white part of it or a hole to look through. A hole is exactly as white
    # as the background outside, a part is shaded a little. In doubt it is a part: a hole lost in one view harms less
    # than an object pierced by one.
    white = (soft == 0).astype(np.uint8)
    count, regions, sizes, _ = cv2.connectedComponentsWithStats(white, connectivity=4)
    border = np.zeros(count, bool)
    border[np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])] = True
    border[0] = False  # the object itself
    means = np.bincount(regions.ravel(), distance.ravel(), count) / np.maximum(sizes[:, cv2.CC_STAT_AREA], 1)
    outside = border[regions]
    limit = distance[outside].mean() + 0.5 / 255 if outside.any() else 0.0
    enclosed = ~border & ((sizes[:, cv2.CC_STAT_AREA] < smallest) | (means > limit))
    enclosed[0] = False
    soft[enclosed[regions]] = 1

    # The rim of a filled part was soft on the assumption that white lay beyond it.
    for region in np.flatnonzero(enclosed):
        rim = cv2.dilate((regions == region).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
        soft[(rim > 0) & ~outside] = 1
    return soft

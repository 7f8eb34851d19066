"""Masks of the object in generated views, which show it on white."""

from __future__ import annotations

import cv2
import numpy as np

from ...threads import map_on_threads

BACKGROUND_DISTANCE, OBJECT_DISTANCE = 6 / 255, 26 / 255
"""Distance from white up to which a pixel is background, and from which on it is wholly object."""
MIN_COMPONENT_SHARE = 0.001
"""Components of object or background below this share of the image are the generator's noise."""


def masks_from_white_background(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, 3) 0..1 on white -> masks (N, H, W) float32, 1 on the object, soft at its edge."""
    return np.stack(list(map_on_threads(_mask, images)))


def masks_of_decoded(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) 0..1 as the VAE decodes them -> masks (N, H, W) float32: its fourth channel, or what is not
    white where it has none."""
    return images[..., 3] if images.shape[-1] == 4 else masks_from_white_background(images)


def _mask(image: np.ndarray) -> np.ndarray:
    """Image (H, W, 3) -> mask (H, W) float32."""
    # NumPy takes twenty times as long for the smallest of three along an axis.
    distance = 1 - np.minimum(np.minimum(image[..., 0], image[..., 1]), image[..., 2])
    ramp = (distance - BACKGROUND_DISTANCE) / (OBJECT_DISTANCE - BACKGROUND_DISTANCE)
    mask = np.clip(ramp, 0, 1).astype(np.float32)
    white = (mask == 0).astype(np.uint8)
    min_area = MIN_COMPONENT_SHARE * white.size

    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - white, connectivity=8)
    mask[(stats[:, cv2.CC_STAT_AREA] < min_area)[labels] & (white == 0)] = 0

    # White that the object encloses is either a white area of its surface or a hole. A hole is exactly as white as the
    # background outside, a surface is slightly shaded. In doubt it is surface: a hole lost in one view does less harm
    # than an object pierced by one.
    white = (mask == 0).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(white, connectivity=4)
    touches_border = np.zeros(count, bool)
    touches_border[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    touches_border[0] = False  # the object itself
    means = np.bincount(labels.ravel(), distance.ravel(), count) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    outside = touches_border[labels]
    limit = distance[outside].mean() + 0.5 / 255 if outside.any() else 0.0
    enclosed = ~touches_border & ((stats[:, cv2.CC_STAT_AREA] < min_area) | (means > limit))
    enclosed[0] = False
    filled = enclosed[labels]
    mask[filled] = 1

    # The edge of a filled area was soft on the assumption that background lay beyond it.
    edge = cv2.dilate(filled.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    mask[(edge > 0) & ~outside] = 1
    return mask

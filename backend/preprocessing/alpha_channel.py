"""What an image's own alpha channel says about the object, freed of what editors, scanners and exports leave in it."""

from __future__ import annotations

import cv2
import numpy as np

from ..image_filters import nearest_values

FAINT = 1.5 / 255
"""Alpha below this is invisible: it neither counts nor widens the bounding box."""
MAX_HAZE = 0.1
"""Alpha up to which a pixel far from everything solid is haze."""
OPAQUE_ENOUGH = 0.9
"""An object whose most opaque parts are below this was faded as a whole."""
STRAY_SHARE = 0.001
"""Parts smaller than this share of the largest one are stray pixels."""
SHADOW_ALPHA = 0.85
"""A shadow is less opaque than this."""
SHADOW_LIGHT = 0.25
"""And it is darker than this: the largest of R, G and B."""
SAME_COLOR = 0.02
"""Difference within one shadow's color."""


def clean_alpha(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colors (H, W, 3) and their alpha (H, W), float32 0..1 -> the object's alpha, float32 0..1.

    Fading is undone; haze, stray pixels and drop shadows are removed. An alpha that has none of these is returned
    unchanged, except that what is invisible is 0.
    """
    if alpha.min() == 1:  # as in every photograph: there is nothing to look for
        return alpha
    alpha = np.where(alpha < FAINT, 0, alpha).astype(np.float32)
    level = _solid_level(alpha)
    if level < OPAQUE_ENOUGH:
        alpha = np.minimum(alpha / max(level, FAINT), 1)
    alpha = _without_haze(alpha)
    alpha = _without_shadow(color, alpha)
    return _without_stray_pixels(alpha)


def is_frame(alpha: np.ndarray) -> bool:
    """Whether the opaque part of (H, W) has the outline of a picture and not of an object: a rectangle, with or without
    rounded corners, or an ellipse."""
    solid = alpha > 0.5
    if not solid.any():
        return False
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    box = np.ascontiguousarray(solid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    height, width = box.shape
    y = np.abs(np.arange(height) + 0.5 - height / 2)[:, None]
    x = np.abs(np.arange(width) + 0.5 - width / 2)[None]
    ellipse = (x / (width / 2)) ** 2 + (y / (height / 2)) ** 2 <= 1
    if np.mean(box != ellipse) < 0.01:
        return True
    # A rounded rectangle's corners lack (1 - pi / 4) r^2 each.
    radius = min(np.sqrt((~box).sum() / (4 - np.pi)), min(height, width) / 2)
    corner = np.hypot(np.maximum(x - (width / 2 - radius), 0), np.maximum(y - (height / 2 - radius), 0)) <= radius
    return bool(np.mean(box != corner) < 0.01)


def _solid_level(alpha: np.ndarray) -> float:
    """The alpha (H, W) of the most opaque parts; single pixels do not count."""
    median = cv2.medianBlur(np.round(alpha * 255).astype(np.uint8), 3)
    most = float(median.max()) / 255
    return float(np.percentile(alpha[median > 0.5 * 255 * most], 90)) if most > FAINT else float(alpha.max())


def _without_haze(alpha: np.ndarray) -> np.ndarray:
    """Subtract the haze that is seen far from everything more opaque; soft edges stay."""
    visible = (alpha > MAX_HAZE).astype(np.uint8)
    distance = cv2.distanceTransform(1 - visible, cv2.DIST_L2, 5)
    far = (alpha > 0) & (distance > max(4, 0.02 * max(alpha.shape)))
    if not visible.any() or not far.any():
        return alpha
    level = float(np.percentile(alpha[far], 99))
    if far.mean() < 0.01:  # a few faint specks say nothing about the rest
        return np.where(far, 0, alpha)
    cleaned = np.clip((alpha - level) / (1 - level), 0, 1)
    return np.where(far | (cleaned < FAINT), 0, cleaned).astype(np.float32)


def _without_shadow(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Remove dark, half-transparent areas beside the object; those enclosed by it, such as a car's windows, stay."""
    shade = (alpha > 0) & (alpha < SHADOW_ALPHA) & (color.max(-1) < SHADOW_LIGHT)
    wide = cv2.morphologyEx(shade.astype(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)) > 0
    opaque = alpha >= 0.97
    if not wide.any() or not opaque.any():
        return alpha
    _, labels = cv2.connectedComponents(shade.astype(np.uint8))
    # A shadow begins right beside the opaque object; a soft edge first falls from opaque to this.
    beside = cv2.distanceTransform((~opaque).astype(np.uint8), cv2.DIST_L2, 5) <= 2
    candidates = np.isin(labels, np.setdiff1d(np.intersect1d(labels[wide], labels[beside]), [0]))
    _, regions = cv2.connectedComponents((alpha < SHADOW_ALPHA).astype(np.uint8))
    rim = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    outside = candidates & np.isin(regions, np.setdiff1d(rim, [0]))
    if not outside.any():
        return alpha
    # Of what the object encloses, only that goes which has the very color of the shadow outside (between chair legs).
    same = np.abs(color - np.median(color[outside], axis=0)).max(-1) < SAME_COLOR
    shadow = outside | (candidates & same)
    # What is mixed of object and shadow at the object's edge keeps the object's part.
    near = cv2.dilate(shadow.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~shadow & (alpha < 1)
    behind = nearest_values(alpha[..., None], shadow, near)[:, 0]
    cleaned = np.where(shadow, 0, alpha)
    cleaned[near] = np.clip((alpha[near] - behind) / np.maximum(1 - behind, 1e-3), 0, 1)
    return np.where(cleaned < FAINT, 0, cleaned).astype(np.float32)


def _without_stray_pixels(alpha: np.ndarray) -> np.ndarray:
    """Remove parts, soft edges included, that are tiny beside the largest one and apart from it."""
    count, labels = cv2.connectedComponents((alpha > 0).astype(np.uint8))
    if count <= 2:
        return alpha
    weights = np.bincount(labels.ravel(), weights=alpha.ravel())
    weights[0] = 0
    stray = np.flatnonzero(weights < STRAY_SHARE * weights.max())
    largest = (labels != np.argmax(weights)).astype(np.uint8)
    apart = cv2.distanceTransform(largest, cv2.DIST_L2, 5) > max(3, 0.01 * max(alpha.shape))
    near = np.unique(labels[~apart])
    return np.where(np.isin(labels, np.setdiff1d(stray, [0, *near])), 0, alpha).astype(np.float32)

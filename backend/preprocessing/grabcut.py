"""The object's alpha by GrabCut, where neither an alpha channel nor a background-removal model gives it."""

from __future__ import annotations

import cv2
import numpy as np

from ..image_filters import shrink

WORKING_SIDE = 384
"""Longer side, in pixels, of the reduced image that GrabCut runs on."""
MIN_SIDE = 8
"""Reduced images with a side below this hold no object."""
MIN_CONTRAST = 4.0
"""Range of Lab values below which an image is one color."""
BORDER_WIDTH = 0.04
"""Width of the border that is taken for background, as a share of the reduced image's shorter side."""
MAX_PLAIN_NOISE = 14.0
"""Lab distance up to which a fitted background counts as plain; above it, it counts as clutter."""
ITERATIONS = 4
"""Of GrabCut."""


def grabcut(color: np.ndarray) -> np.ndarray:
    """Image (H, W, 3) float32 sRGB 0..1 -> mask (H, W) float32 0..1 of one object; all 0 when nothing stands out.

    A smooth background is fitted to the border, and every pixel's distance from it initializes GrabCut (Rother et al.
    2004); in front of clutter only the border is certain. The edge is known to within 1.5 pixels of the reduced image.
    """
    height, width = color.shape[:2]
    mask = _object_mask(shrink(color, WORKING_SIDE / max(height, width)))
    return cv2.resize(mask.astype(np.float32), (width, height))


def _object_mask(reduced: np.ndarray) -> np.ndarray:
    """Reduced image (h, w, 3) -> mask (h, w) bool of one object, with its real holes."""
    reduced = np.ascontiguousarray(reduced, np.float32)
    lab = cv2.cvtColor(reduced, cv2.COLOR_RGB2Lab)
    height, width = lab.shape[:2]
    if min(height, width) < MIN_SIDE or np.ptp(lab.reshape(-1, 3), 0).max() < MIN_CONTRAST:
        return np.zeros((height, width), bool)
    border = np.ones((height, width), bool)
    margin = max(1, round(BORDER_WIDTH * min(height, width)))
    border[margin:-margin, margin:-margin] = False
    background, noise = _fit_background(lab, border)
    residual = lab - background
    shadow = np.zeros((height, width), bool)
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    if noise < MAX_PLAIN_NOISE:
        shadow = _shadow_mask(reduced, background, np.linalg.norm(residual, axis=-1) > 4 * noise)
        residual[shadow] = 0
        distance = np.linalg.norm(residual, axis=-1)
        smoothed = cv2.GaussianBlur(distance, (0, 0), 1)
        threshold = 4 * noise
        if not np.any(smoothed > threshold):
            return np.zeros((height, width), bool)
        labels[smoothed > threshold] = cv2.GC_PR_FGD
        labels[smoothed > max(2 * threshold, min(25.0, 0.5 * float(smoothed.max())))] = cv2.GC_FGD
        labels[border & (smoothed < threshold)] = cv2.GC_BGD
        # GrabCut gets the difference from the background, not the colors: on a gradient the same gray can be both.
        # Large differences saturate, which leaves the small ones more of the 8-bit range.
        strength = np.tanh(distance / (15 * noise)) / np.maximum(distance, 1e-6)
        image = 127.5 + 127.5 * residual * strength[..., None]
    else:
        labels[~border] = cv2.GC_PR_FGD
        labels[border] = cv2.GC_BGD
        image = reduced * 255
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    image = np.round(image).astype(np.uint8)
    cv2.grabCut(image, labels, (0, 0, 0, 0), *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    like_background = np.linalg.norm(lab - background, axis=-1) < 2 * noise
    return _fill_false_holes(_largest_component(mask), like_background, shadow)


def _fit_background(lab: np.ndarray, border: np.ndarray) -> tuple[np.ndarray, float]:
    """A quadratic surface (h, w, 3) through the background's Lab colors, and its median residual in Lab units.

    The fit drops outliers, since the object may touch the border, and grows inwards with what it explains.
    """
    height, width = lab.shape[:2]
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], -1).astype(np.float32)
    surface = np.broadcast_to(np.median(lab[border], 0), lab.shape)
    noise = 1.0
    for step in range(8):
        distance = np.linalg.norm(lab - surface, axis=-1)
        considered = border if step < 5 else _connected_to_border(distance < 3 * noise, border)
        inliers = considered & (distance <= max(3 * noise, float(np.median(distance[considered]))))
        terms = 1 if inliers.sum() < 60 else 6
        weights, *_ = np.linalg.lstsq(basis[inliers][:, :terms], lab[inliers], rcond=None)
        surface = basis[..., :terms] @ weights
        noise = max(1.2, float(np.median(np.linalg.norm(lab - surface, axis=-1)[considered])))
    return surface.astype(np.float32), noise


def _shadow_mask(reduced: np.ndarray, background: np.ndarray, different: np.ndarray) -> np.ndarray:
    """Where the image is only a smoothly darkened background (h, w); nowhere if most of ``different`` looks so too."""
    ratio = (reduced + 0.02) / (cv2.cvtColor(background, cv2.COLOR_Lab2RGB) + 0.02)
    ratio = cv2.GaussianBlur(ratio, (0, 0), 1.5)
    level = ratio.mean(-1)
    gradient = np.hypot(cv2.Sobel(level, cv2.CV_32F, 1, 0), cv2.Sobel(level, cv2.CV_32F, 0, 1)) / 8
    shadow = different & (np.ptp(ratio, -1) < 0.06) & (level > 0.5) & (level < 0.99) & (gradient < 0.02)
    return shadow if shadow.sum() < 0.5 * different.sum() else np.zeros_like(shadow)


def _connected_to_border(mask: np.ndarray, border: np.ndarray) -> np.ndarray:
    """The components of ``mask`` (h, w) that reach the border, and the border."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.isin(labels, np.setdiff1d(np.unique(labels[border]), [0])) | border


def _largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest component; those less than 1 % of the image apart count as one, so that a thin neck may be missed."""
    width = 2 * max(1, round(0.005 * max(mask.shape))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, labels = cv2.connectedComponents(cv2.dilate(opened, kernel))
    sizes = np.bincount(labels[mask], minlength=labels.max() + 1)
    sizes[0] = 0
    return mask & (labels == np.argmax(sizes)) if sizes.max() else np.zeros_like(mask)


def _fill_false_holes(mask: np.ndarray, like_background: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """Fill holes, except those through which the background is visible (a mug's handle).

    Shade in a hole is a shadow on the background only if there is more of it around the object: a pale object's own
    shading looks the same.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    outer = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, outer) & ~mask
    if (shadow & outside).sum() > (shadow & ~outside & ~mask).sum():
        like_background = like_background | shadow
    filled = mask.copy()
    for label in np.setdiff1d(np.arange(1, count), outer):
        hole = labels == label
        real = stats[label, cv2.CC_STAT_AREA] > 0.002 * mask.sum() and like_background[hole].mean() > 0.5
        filled |= hole & (not real)
    return filled

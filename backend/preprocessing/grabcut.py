"""Which pixels belong to the object when neither an alpha channel nor a model tells: GrabCut."""

from __future__ import annotations

import cv2
import numpy as np

WORK = 384
"""Longer side, in pixels, at which GrabCut looks at the picture."""
RING = 0.04
"""Width of the border that is taken for background, as a share of the working picture's shorter side."""
PLAIN = 14.0
"""A smooth background may leave this much Lab distance unexplained; above it, it counts as clutter."""


def grabcut(color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) float32 sRGB -> color with the background removed from its edge, and alpha (H, W) float32 0..1.

    A smooth background is fitted to the border and every pixel's distance from it starts GrabCut (Rother et al. 2004);
    before clutter only the border is sure. The alpha is all 0 when nothing stands out.
    """
    height, width = color.shape[:2]
    scale = min(1.0, WORK / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    mask = _object_mask(small)
    if not mask.any():
        return color, np.zeros((height, width), np.float32)
    reach = max(1.5, 1.5 / scale)
    large = cv2.resize(mask.astype(np.float32), (width, height))
    rows, columns = np.flatnonzero(large.any(1)), np.flatnonzero(large.any(0))
    margin = int(6 * reach)
    around = tuple(slice(max(0, one[0] - margin), one[-1] + 1 + margin) for one in (rows, columns))
    alpha = np.zeros((height, width), np.float32)
    clean = color.copy()
    clean[around], alpha[around] = _soften(color[around], large[around], reach)
    return clean, alpha


def _object_mask(small: np.ndarray) -> np.ndarray:
    """Working picture (h, w, 3) -> (h, w) bool: one object with its real holes."""
    small = np.ascontiguousarray(small, np.float32)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)
    height, width = lab.shape[:2]
    if min(height, width) < 8 or np.ptp(lab.reshape(-1, 3), 0).max() < 4:
        return np.zeros((height, width), bool)
    ring = np.ones((height, width), bool)
    margin = max(1, round(RING * min(height, width)))
    ring[margin:-margin, margin:-margin] = False
    background, noise = _background(lab, ring)
    residual = lab - background
    shade = np.zeros((height, width), bool)
    state = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    if noise < PLAIN:
        shade = _shadow(small, background, np.linalg.norm(residual, axis=-1) > 4 * noise)
        residual[shade] = 0
        distance = np.linalg.norm(residual, axis=-1)
        smooth = cv2.GaussianBlur(distance, (0, 0), 1)
        cut = 4 * noise
        if not np.any(smooth > cut):
            return np.zeros((height, width), bool)
        state[smooth > cut] = cv2.GC_PR_FGD
        state[smooth > max(2 * cut, min(25.0, 0.5 * float(smooth.max())))] = cv2.GC_FGD
        state[ring & (smooth < cut)] = cv2.GC_BGD
        # What differs from the background, not the colors themselves: on a gradient the same gray can be both.
        # Far is far: what is plainly different saturates, which leaves room for what is only a little different.
        strength = np.tanh(distance / (15 * noise)) / np.maximum(distance, 1e-6)
        seen = 127.5 + 127.5 * residual * strength[..., None]
    else:
        state[~ring] = cv2.GC_PR_FGD
        state[ring] = cv2.GC_BGD
        seen = small * 255
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(np.round(seen).astype(np.uint8), state, None, *models, 4, cv2.GC_INIT_WITH_MASK)
    mask = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    like_background = np.linalg.norm(lab - background, axis=-1) < 2 * noise
    return _fill_false_holes(_largest_part(mask), like_background, shade)


def _background(lab: np.ndarray, ring: np.ndarray) -> tuple[np.ndarray, float]:
    """A quadratic surface (h, w, 3) through the background's Lab colors, and the noise it leaves in Lab units.

    The fit drops outliers, since the object may touch the border, and grows inwards with what it explains.
    """
    height, width = lab.shape[:2]
    v, u = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], -1).astype(np.float32)
    surface = np.broadcast_to(np.median(lab[ring], 0), lab.shape)
    noise = 1.0
    for step in range(8):
        distance = np.linalg.norm(lab - surface, axis=-1)
        considered = ring if step < 5 else _touching(distance < 3 * noise, ring)
        chosen = considered & (distance <= max(3 * noise, float(np.median(distance[considered]))))
        terms = 1 if chosen.sum() < 60 else 6
        weights, *_ = np.linalg.lstsq(basis[chosen][:, :terms], lab[chosen], rcond=None)
        surface = basis[..., :terms] @ weights
        noise = max(1.2, float(np.median(np.linalg.norm(lab - surface, axis=-1)[considered])))
    return surface.astype(np.float32), noise


def _shadow(small: np.ndarray, background: np.ndarray, different: np.ndarray) -> np.ndarray:
    """Where the picture is only a smoothly darkened background (h, w); nowhere if most of the object looks so too."""
    ratio = (small + 0.02) / (cv2.cvtColor(background, cv2.COLOR_Lab2RGB) + 0.02)
    ratio = cv2.GaussianBlur(ratio, (0, 0), 1.5)
    level = ratio.mean(-1)
    slope = np.hypot(cv2.Sobel(level, cv2.CV_32F, 1, 0), cv2.Sobel(level, cv2.CV_32F, 0, 1)) / 8
    shade = different & (np.ptp(ratio, -1) < 0.06) & (level > 0.5) & (level < 0.99) & (slope < 0.02)
    return shade if shade.sum() < 0.5 * different.sum() else np.zeros_like(shade)


def _touching(mask: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """The parts of ``mask`` that reach the border."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.isin(labels, np.setdiff1d(np.unique(labels[ring]), [0])) | ring


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest part; pieces less than 1 % of the picture apart count as one, so that a thin neck may be missed."""
    reach = 2 * max(1, round(0.005 * max(mask.shape))) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, labels = cv2.connectedComponents(cv2.dilate(opened, kernel))
    sizes = np.bincount(labels[mask], minlength=labels.max() + 1)
    sizes[0] = 0
    return mask & (labels == np.argmax(sizes)) if sizes.max() else np.zeros_like(mask)


def _fill_false_holes(mask: np.ndarray, like_background: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Fill holes, save those through which the background itself is seen (a mug's handle).

    Shade in a hole is a shadow on the background only if there is more of it around the object: a pale object's own
    shading looks the same.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    outer = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, outer) & ~mask
    if (shade & outside).sum() > (shade & ~outside & ~mask).sum():
        like_background = like_background | shade
    filled = mask.copy()
    for label in np.setdiff1d(np.arange(1, count), outer):
        hole = labels == label
        real = stats[label, cv2.CC_STAT_AREA] > 0.002 * mask.sum() and like_background[hole].mean() > 0.5
        filled |= hole & (not real)
    return filled


def _soften(color: np.ndarray, mask: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Mask (H, W) 0..1 known to within ``reach`` pixels -> edge colors freed of background, and a soft alpha.

    In the band around the edge each pixel is a mix of the nearest sure object color and the nearest sure background
    color; the alpha is where it lies between the two.
    """
    inside, outside = _erode(mask > 0.5, reach), _erode(mask <= 0.5, reach)
    if not inside.any():
        return color, (mask > 0.5).astype(np.float32)
    band = ~(inside | outside)
    calm = cv2.GaussianBlur(color, (0, 0), max(0.6, reach / 2))
    near = _nearest(calm, inside, band)
    far = _nearest(calm, outside, band) if outside.any() else 1 - near
    span = near - far
    length = np.einsum("nc,nc->n", span, span)
    mixed = np.einsum("nc,nc->n", color[band] - far, span) / np.maximum(length, 1e-6)
    trust = np.clip(length / 0.02, 0, 1)
    alpha = inside.astype(np.float32)
    blurred = cv2.GaussianBlur(mask, (0, 0), max(0.6, reach / 3))
    alpha[band] = np.clip(trust * mixed + (1 - trust) * blurred[band], 0, 1)
    return decontaminate(color, alpha), alpha


def _erode(mask: np.ndarray, reach: float) -> np.ndarray:
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return (cv2.distanceTransform(padded, cv2.DIST_L2, 5) > reach)[1:-1, 1:-1]


def _nearest(values: np.ndarray, known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each pixel ``wanted`` the value of the nearest pixel ``known``: (wanted, C)."""
    source = (~known).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(source, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    position = np.zeros(labels.max() + 1, np.int64)
    position[labels[known]] = np.flatnonzero(known)
    return values.reshape(-1, values.shape[-1])[position[labels[wanted]]]


def decontaminate(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give pixels that show some background the color of the nearest pixel that shows none."""
    solid = alpha > 0.98
    mixed = (alpha > 0) & ~solid
    clean = color.copy()
    if solid.any():
        clean[mixed] = _nearest(color, solid, mixed)
    return clean

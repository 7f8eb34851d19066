"""Where the colors of a picture contradict a predicted mask: parts of the object that it lacks, background in its gaps.

A model that sees 320 pixels loses thin parts before patterns, and fills the gaps between them. Colors that only the
object has, right beside the mask, and colors that only the background has, inside of it, tell.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ..image_filters import shrink

SIDE = 320
"""Longer side, in pixels, of the reduced picture that is compared."""
BINS = 16
"""Of the histogram, along each of L, a and b."""
AB_RANGE = 64.0
"""Largest a and b, positive or negative, that are told apart."""
RIM = 2.0
"""Pixels on either side of the mask's edge that say nothing: both colors mix there."""
NEAR = 0.6
"""Width of the surroundings that are looked at, as a share of the square root of the object's area."""
FLOOR = 1e-3
"""Density of colors below which they are noise."""
CLEAR = 1.0
"""Logarithm of the ratio of two densities from which on a color is one side's."""
SURE = 0.97
"""Prediction from which on the model itself has no doubt."""
HOLE_DIP = 0.96
"""Mean prediction in a gap, in the less certain of two looks, above which it is the object after all."""
SMALLEST_HOLE = 0.004
"""As a share of the object's area."""
UNSURE = 0.9
"""Prediction below which the model is not certain of what is inside its own outline."""
MISSING = 0.05
"""Share of the object from which on what is missing is told (good cutouts: up to 0.044)."""
HOLES = 0.03
"""The same for its gaps (good cutouts: 0)."""
UNCERTAIN_INSIDE = 0.012
"""The same for uncertain places inside (good cutouts: 0)."""
MENDABLE_MISSING = 0.3
"""More than this is not added: then the colors are the background's as well."""
MENDED_HOLES = 0.08
"""Less than this is not taken away: it may be a window or a stripe of the object (up to 0.052) as well as a gap."""
MENDABLE_UNCERTAIN = 0.1
"""With more than this uncertain, colors do not help either."""


class Evidence(NamedTuple):
    """What the colors say against a mask; shares are of the mask's area."""

    missing: np.ndarray
    """(H, W) bool: what is beside the mask and has the object's colors."""
    holes: np.ndarray
    """(H, W) bool: what is inside the mask and has the background's colors, where the model was not certain."""
    missing_share: float
    holes_share: float
    unsure_share: float
    """Of what is well inside the mask, where the model was not certain."""


def mend(color: np.ndarray, mask: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, bool]:
    """The arguments of ``compare_colors`` -> the mask (H, W) with its missing parts and without its filled gaps, where
    colors show these, and whether it is doubtful: a mended mask is, and one that cannot be mended."""
    evidence = compare_colors(color, mask, first)
    lacks, fills = evidence.missing_share > MISSING, evidence.holes_share > HOLES
    if evidence.unsure_share < MENDABLE_UNCERTAIN:
        if lacks and evidence.missing_share < MENDABLE_MISSING:
            mask = np.where(evidence.missing, np.float32(1), mask)
        if evidence.holes_share > MENDED_HOLES:
            mask = np.where(evidence.holes, np.float32(0), mask)
    return mask, lacks or fills or evidence.unsure_share > UNCERTAIN_INSIDE


def compare_colors(color: np.ndarray, mask: np.ndarray, first: np.ndarray) -> Evidence:
    """A picture (H, W, 3), a mask of its object and what a model saw in a first look, both (H, W), all float32 0..1."""
    height, width = mask.shape
    small, mask, first = (shrink(image, SIDE / max(height, width)) for image in (color, mask, first))
    solid, least = mask > 0.5, np.minimum(mask, first)
    area = float(max(solid.sum(), 1))
    bins = _bins(cv2.cvtColor(small, cv2.COLOR_RGB2Lab))
    depth, distance = _distance(solid), _distance(~solid)
    inside, outside = depth > RIM, distance > RIM
    near = outside & (distance < NEAR * np.sqrt(area))
    missing = _missing(_log_ratio(bins, inside, outside), near, distance)
    holes = _holes(bins, least, depth, near, area)
    unsure = _open((depth > 1.5 * RIM) & (mask < UNSURE))
    grown = cv2.dilate(holes.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return Evidence(
        _enlarge(missing, width, height),
        _enlarge(grown, width, height),
        float(missing.sum() / area),
        float(holes.sum() / area),
        float(unsure.sum() / area),
    )


def _missing(object_like: np.ndarray, near: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """What of the surroundings looks like the object and hangs together with the mask."""
    alike = near & (object_like > CLEAR)
    rim = (distance > 0) & (distance <= RIM + 0.5)
    _, labels = cv2.connectedComponents((alike | (rim & (object_like > 0))).astype(np.uint8))
    return alike & np.isin(labels, np.setdiff1d(labels[rim], [0]))


def _holes(bins: np.ndarray, least: np.ndarray, depth: np.ndarray, near: np.ndarray, area: float) -> np.ndarray:
    """What of the mask looks like the surroundings, and less certain than the rest."""
    inside = depth > RIM
    ours = inside & (least > SURE)
    if ours.sum() < 0.3 * area:
        ours = inside
    holes = np.zeros_like(inside)
    for _ in range(3):  # a filled gap is counted among the object's colors at first
        holes = (depth > 1) & (_log_ratio(bins, ours, near) < -CLEAR)
        ours = inside & ~holes & (least > UNSURE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_open(holes).astype(np.uint8))
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] > SMALLEST_HOLE * area)
    means = np.bincount(labels.ravel(), weights=least.ravel(), minlength=count) / stats[:, cv2.CC_STAT_AREA]
    return np.isin(labels, [label for label in large if label and means[label] < HOLE_DIP])


def _bins(lab: np.ndarray) -> np.ndarray:
    """Lab colors (h, w, 3) -> the number of each one's bin (h, w)."""
    shares = np.dstack([lab[..., 0] / 100, (lab[..., 1:] + AB_RANGE) / (2 * AB_RANGE)])
    index = (shares * BINS).clip(0, BINS - 1).astype(np.intp)
    return (index[..., 0] * BINS + index[..., 1]) * BINS + index[..., 2]


def _log_ratio(bins: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much likelier each pixel's color is among those of ``one`` (h, w) bool than of ``other``: (h, w)."""
    ratio = np.log((_density(bins[one]) + FLOOR) / (_density(bins[other]) + FLOOR))
    return cv2.GaussianBlur(ratio[bins].astype(np.float32), (0, 0), 1)


def _density(bins: np.ndarray) -> np.ndarray:
    """The share of pixels in each bin and its neighbors: (BINS^3,)."""
    counts = np.bincount(bins, minlength=BINS**3).reshape(BINS, BINS, BINS).astype(np.float64)
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if axis == other else (0, 0) for other in range(3)], mode="edge")
        below, same, above = (np.take(padded, np.arange(first, first + BINS), axis) for first in range(3))
        counts = 0.25 * below + 0.5 * same + 0.25 * above
    return counts.ravel() / max(len(bins), 1)


def _distance(mask: np.ndarray) -> np.ndarray:
    """Pixels from each pixel of a mask (h, w) bool to what is outside of it."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)


def _open(mask: np.ndarray) -> np.ndarray:
    """A mask (h, w) bool without specks and lines."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _enlarge(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (width, height)) > 0.5

"""Which of the separate parts of a predicted mask belong to the object."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

SPECK = 0.01
"""Parts smaller than this share of the largest one are errors of the prediction."""
NEAR = 0.25
"""Parts nearer to the largest one than this share of its longer side belong to it: a lamp's foot, a hidden pole."""
SIMILAR = 0.25
"""Parts of at least this share of the largest one's area are objects beside it: they are taken if they are ..."""
BESIDE = 1.0
"""... nearer than this share of its longer side."""
WORTH_SAYING = 0.03
"""Parts of at least this share of the largest one's area are mentioned when they are left out."""


class Parts(NamedTuple):
    """The parts of a mask."""

    kept: np.ndarray
    """(H, W) bool: what belongs to the object."""
    count: int
    """How many of the kept parts are objects of similar size."""
    left_out: tuple[str, ...]
    """Where in the frame larger parts were left out: ``left``, ``right``, ``top`` or ``bottom`` of what is kept."""


def choose_parts(alpha: np.ndarray) -> Parts:
    """The parts of an alpha (H, W) float32 0..1 that make up the object; ``SPECK`` and the others say how."""
    solid = (alpha > 0.5).astype(np.uint8)
    count, labels, stats, centers = cv2.connectedComponentsWithStats(solid)
    if count <= 2:
        return Parts(labels > 0, count - 1, ())
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    largest = int(np.argmax(areas))
    distance = cv2.distanceTransform((labels != largest).astype(np.uint8), cv2.DIST_L2, 5)
    size = max(stats[largest, cv2.CC_STAT_WIDTH], stats[largest, cv2.CC_STAT_HEIGHT])
    kept, similar, left_out = [largest], 1, []
    for label in np.flatnonzero(areas >= SPECK * areas[largest]):
        if label == largest:
            continue
        gap = float(distance[labels == label].min()) / size
        is_similar = areas[label] >= SIMILAR * areas[largest]
        if gap < NEAR or (is_similar and gap < BESIDE):
            kept.append(int(label))
            similar += bool(is_similar)
        elif areas[label] >= WORTH_SAYING * areas[largest]:
            x, y = centers[label] - centers[largest]
            left_out.append(("right" if x > 0 else "left") if abs(x) > abs(y) else ("bottom" if y > 0 else "top"))
    return Parts(np.isin(labels, kept), similar, tuple(dict.fromkeys(left_out)))


def keep_parts(alpha: np.ndarray, kept: np.ndarray, radius: int) -> np.ndarray:
    """The alpha (H, W) of the ``kept`` parts (H, W) bool, with their soft edges up to ``radius`` pixels wide."""
    others = (alpha > 0.5) & ~kept
    around = cv2.distanceTransform((~kept).astype(np.uint8), cv2.DIST_L2, 5) <= radius
    return np.where(around & ~others, alpha, 0).astype(np.float32)

"""Matches between neighboring views by SIFT, which needs no weights."""

from __future__ import annotations

import cv2
import numpy as np

from .matches import IMAGE_WIDTH, VIEW_PAIRS, Matches

MATCHING_WIDTH = 512
"""Width in pixels that the images are enlarged to before keypoints are detected: generated views are small."""
RATIO = 0.85
"""A match's descriptor distance has to be below this share of the second best one's (Lowe's ratio test)."""
MAX_DISPLACEMENT = 64
"""Pixels of ``IMAGE_WIDTH`` that a point can move by between cameras at most 20 degrees apart."""
SILHOUETTE_MARGIN = 5 / 256
"""Keypoints closer to the silhouette than this share of the image width do not lie on the surface."""
WHITE = 245 / 255
"""A pixel is background when all its channels are at least this."""


def match_images(images: np.ndarray) -> Matches:
    """Images (4, H, W, 3) 0..1 on white, in the order of ``camera.NEIGHBORS`` -> their pairwise matches.

    Descriptors are Hellinger-normalized (RootSIFT: Arandjelovic and Zisserman 2012); matches pass the ratio test and
    are mutual. Every match has confidence 1.
    """
    sift = cv2.SIFT.create(contrastThreshold=0.01)
    features = [_detect(sift, image) for image in images]
    return {(first, second): _match_pair(*features[first], *features[second]) for first, second in VIEW_PAIRS}


def _detect(sift: cv2.SIFT, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W, 3) -> keypoints (K, 2) in pixels of ``IMAGE_WIDTH`` and unit-length descriptors (K, 128)."""
    enlarged = cv2.resize(
        np.asarray(image, np.float32), (MATCHING_WIDTH, MATCHING_WIDTH), interpolation=cv2.INTER_CUBIC
    )
    foreground = (enlarged.min(-1) < WHITE).astype(np.uint8)
    width = 2 * round(SILHOUETTE_MARGIN * MATCHING_WIDTH) + 1
    gray = cv2.cvtColor((np.clip(enlarged, 0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    keypoints, descriptors = sift.detectAndCompute(gray, cv2.erode(foreground, np.ones((width, width), np.uint8)))
    positions = np.array([keypoint.pt for keypoint in keypoints]).reshape(-1, 2)
    descriptors = np.zeros((0, 128)) if descriptors is None else descriptors
    descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(-1, keepdims=True), 1e-12))
    return (positions + 0.5) * IMAGE_WIDTH / MATCHING_WIDTH, descriptors.astype(np.float32)


def _match_pair(
    positions: np.ndarray, descriptors: np.ndarray, other_positions: np.ndarray, other_descriptors: np.ndarray
) -> np.ndarray:
    """Matches of one pair of images as rows (M, 5) of ``Matches``, from positions (K, 2) and descriptors (K, 128)."""
    if min(len(positions), len(other_positions)) < 2:
        return np.zeros((0, 5))
    similarity = descriptors @ other_descriptors.T
    x, y = (positions[:, None, axis] - other_positions[:, axis] for axis in range(2))
    similarity[x**2 + y**2 > MAX_DISPLACEMENT**2] = -1
    nearest = np.argpartition(-similarity, 1, axis=1)[:, :2]  # both, in any order
    index = np.arange(len(positions))
    swapped = similarity[index, nearest[:, 0]] < similarity[index, nearest[:, 1]]
    nearest[swapped] = nearest[swapped, ::-1]
    # The descriptors have unit length.
    distance = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(similarity, nearest, axis=1), 0))
    mutual = similarity.argmax(0)[nearest[:, 0]] == index
    accepted = mutual & (distance[:, 0] < RATIO * distance[:, 1])
    return np.hstack([positions[accepted], other_positions[nearest[accepted, 0]], np.ones((accepted.sum(), 1))])

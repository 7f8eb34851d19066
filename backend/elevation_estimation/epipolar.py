"""How high the camera stood: from four views whose places relative to each other are known.

The four neighbors of the picture's own view differ by -10 and +10 degrees of polar angle and of azimuth
(One-2-3-45, arXiv 2306.16928, section 3.2). How their images relate depends on the polar angle they surround, so every
angle is tried and scored: by the epipolar error of all matched points, which unlike the paper's own score (below)
needs no point seen in three images and says when it knows nothing.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np

from .. import camera
from ..types import Elevation

DEFAULT = 20.0
"""Degrees assumed where nothing is known: people photograph things from slightly above."""
PAIRS = tuple(combinations(range(len(camera.NEIGHBORS)), 2))
POLAR_ANGLES = np.arange(15, 166)
"""Candidates of the epipolar search, in degrees."""
REFERENCE_WIDTH = 256
"""Errors are counted in pixels of an image this wide."""
FEWEST_MATCHES = 20
WORST_SCORE = 0.65
"""The best angle's score has to be below this: matches at random reach 0.7."""
SHALLOWEST = 0.2
"""How far the best angle's score has to lie below the median of all."""

MATCHING_WIDTH = 512
RATIO = 0.85
FARTHEST = 64
"""Pixels of a ``REFERENCE_WIDTH`` image that a point can move by between cameras at most 20 degrees apart."""
ERODED = 5 / 256
"""Points this near the outline (in image widths) lie on the silhouette, not on the surface."""

Matches = dict[tuple[int, int], np.ndarray]
"""For each of ``PAIRS``, rows (x, y, x', y', confidence) in pixels of a ``REFERENCE_WIDTH`` image."""


def estimate(matches: Matches | None, predicted: tuple[float, float] | None) -> Elevation:
    """The camera's elevation from the matches between the four neighbors of the picture's own view.

    Where they are missing or do not tell, ``predicted`` (degrees, standard deviation; the view model's own guess);
    where that is missing too, the default. ``source`` of the answer says which.
    """
    if matches is not None:
        found = from_matches(matches)
        if found is not None:
            return found
    if predicted is not None:
        degrees, deviation = predicted
        return Elevation(float(np.clip(degrees, -75, 75)), 1 / (1 + deviation / 10), "predicted")
    return Elevation(DEFAULT, 0.0, "default")


def from_matches(matches: Matches) -> Elevation | None:
    """The elevation that the matches fit best, or None where they are too few or fit every angle alike."""
    total = sum(len(rows) for rows in matches.values())
    if total < FEWEST_MATCHES:
        return None
    scores = np.array([epipolar_score(matches, polar) for polar in POLAR_ANGLES])
    depth = float(np.median(scores) - scores.min())
    if scores.min() > WORST_SCORE or depth < SHALLOWEST:
        return None
    polar = POLAR_ANGLES[scores.argmin()]
    confidence = min(1.0, 2 * depth) * total / (total + FEWEST_MATCHES)
    return Elevation(float(90 - polar), confidence, "matched")


def epipolar_score(matches: Matches, polar: float) -> float:
    """How badly the matches fit four cameras around ``polar`` degrees: 0 (perfectly) .. 1, random matches near 0.7.

    Squared Sampson distance d in pixels, as d / (1 + d) so that outliers count once, averaged with the confidences.
    """
    poses = _cameras(polar)
    total = weight = 0.0
    for (first, second), rows in matches.items():
        rotation, shift = _relative(poses[first], poses[second])
        essential = np.cross(shift, rotation, axis=0)
        one, other = _directions(rows[:, :2]), _directions(rows[:, 2:4])
        line, back = one @ essential.T, other @ essential
        product = (other * line).sum(-1)
        slope = line[:, 0] ** 2 + line[:, 1] ** 2 + back[:, 0] ** 2 + back[:, 1] ** 2
        distance = product**2 / np.maximum(slope, 1e-12) * (camera.FOCAL * REFERENCE_WIDTH) ** 2
        total += (rows[:, 4] * distance / (1 + distance)).sum()
        weight += rows[:, 4].sum()
    return total / max(weight, 1e-12)


def match(images: np.ndarray) -> Matches:
    """SIFT matches between the four images (4, H, W, 3) 0..1 on white.

    Enlarged, as these images are small; Hellinger-normalized descriptors (Arandjelovic and Zisserman 2012); matches
    have to be distinctive and mutual.
    """
    sift = cv2.SIFT_create(contrastThreshold=0.01)
    found = []
    for image in images:
        large = cv2.resize(np.float32(image), (MATCHING_WIDTH, MATCHING_WIDTH), interpolation=cv2.INTER_CUBIC)
        object_ = (large.min(-1) < 245 / 255).astype(np.uint8)
        width = 2 * round(ERODED * MATCHING_WIDTH) + 1
        gray = cv2.cvtColor(np.uint8(np.clip(large, 0, 1) * 255), cv2.COLOR_RGB2GRAY)
        keypoints, descriptors = sift.detectAndCompute(gray, cv2.erode(object_, np.ones((width, width), np.uint8)))
        places = np.array([each.pt for each in keypoints]).reshape(-1, 2)
        descriptors = np.zeros((0, 128)) if descriptors is None else descriptors
        descriptors = np.sqrt(descriptors / np.maximum(descriptors.sum(-1, keepdims=True), 1e-12))
        found.append(((places + 0.5) * REFERENCE_WIDTH / MATCHING_WIDTH, descriptors.astype(np.float32)))
    return {(first, second): _pair(*found[first], *found[second]) for first, second in PAIRS}


def reference_error(matches: Matches, polar: float) -> float:
    """The original's score of a polar angle: pixels between triangulated and matched points, summed over six terms.

    A point is triangulated from two images and projected into a third where a match of the first has the same keypoint.
    """
    poses = _cameras(polar)
    projections = [_intrinsics() @ _world_to_camera(pose) for pose in poses]
    both_ways = {**matches, **{(second, first): rows[:, [2, 3, 0, 1, 4]] for (first, second), rows in matches.items()}}
    error = 0.0
    for start in range(3):
        first, second, *others = ((start + step) % 4 for step in range(4))
        rows = both_ways[first, second]
        points = cv2.triangulatePoints(projections[first], projections[second], rows[:, :2].T, rows[:, 2:4].T)
        for other in others:
            further = both_ways[first, other]
            apart = np.linalg.norm(rows[:, None, :2] - further[None, :, :2], axis=-1)
            shared = apart.min(1) < 1
            if shared.any():
                partner = further[apart.argmin(1)[shared]]
                seen = projections[other] @ points[:, shared]
                miss = np.linalg.norm(partner[:, 2:4] - (seen[:2] / seen[2]).T, axis=-1)
                error += (miss * partner[:, 4]).sum() / partner[:, 4].sum()
    return error


def reference_estimate(matches: Matches) -> Elevation:
    """The original's answer, which is level with the object where it finds none; the confidence is not the original's.

    It is the share by which the matches fit (``epipolar_score``): about 0.3 where they are random.
    """
    polar = reference_polar(matches)
    if polar is None:
        return Elevation(0.0, 0.0, "default")
    return Elevation(float(90 - polar), float(1 - epipolar_score(matches, polar)), "matched")


def reference_polar(matches: Matches) -> int | None:
    """The original's search, 10 degrees at a time and then 1: the polar angle, or None where a pair has no match.

    Matches that share no keypoints leave every score at 0 and the answer is then 20, as in the original.
    """
    if any(len(rows) == 0 for rows in matches.values()):
        return None
    best = min(range(30, 150, 10), key=lambda polar: reference_error(matches, polar))
    return min(range(best - 10, best + 10), key=lambda polar: reference_error(matches, polar))


def _pair(places: np.ndarray, descriptors: np.ndarray, further: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distinctive, mutual matches of one pair of images as rows of ``Matches``."""
    if min(len(places), len(further)) < 2:
        return np.zeros((0, 5))
    likeness = descriptors @ others.T
    likeness[np.linalg.norm(places[:, None] - further, axis=-1) > FARTHEST] = -1
    nearest = np.argsort(-likeness, axis=1)[:, :2]
    index = np.arange(len(places))
    # The descriptors have unit length.
    distance = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(likeness, nearest, axis=1), 0))
    mutual = likeness.argmax(0)[nearest[:, 0]] == index
    good = mutual & (distance[:, 0] < RATIO * distance[:, 1])
    return np.hstack([places[good], further[nearest[good, 0]], np.ones((good.sum(), 1))])


def _cameras(polar: float) -> np.ndarray:
    """Poses (4, 4, 4) float64 of the neighbors of a view at ``polar`` degrees and azimuth 0."""
    polar_change, azimuth_change = np.transpose(camera.NEIGHBORS)
    return camera.camera_to_world(polar + polar_change, azimuth_change).astype(np.float64)


def _world_to_camera(pose: np.ndarray) -> np.ndarray:
    """Camera-to-world with OpenGL axes -> (3, 4) world-to-camera with OpenCV axes (y down, z forward)."""
    rotation = (pose[:3, :3] * (1, -1, -1)).T
    return np.hstack([rotation, -rotation @ pose[:3, 3:]])


def _relative(pose: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and shift (3,) from one camera's OpenCV axes to the other's."""
    one, two = _world_to_camera(pose), _world_to_camera(other)
    rotation = two[:, :3] @ one[:, :3].T
    return rotation, two[:, 3] - rotation @ one[:, 3]


def _directions(places: np.ndarray) -> np.ndarray:
    """Pixels (P, 2) -> rays (P, 3) in OpenCV axes at depth 1."""
    middle = REFERENCE_WIDTH / 2
    flat = (places - middle) / (camera.FOCAL * REFERENCE_WIDTH)
    return np.hstack([flat, np.ones((len(flat), 1))])


def _intrinsics() -> np.ndarray:
    focal, middle = camera.FOCAL * REFERENCE_WIDTH, REFERENCE_WIDTH / 2
    return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])

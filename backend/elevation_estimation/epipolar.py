"""The camera's elevation from four views whose poses relative to each other are known.

The four neighbors of the input view differ from it by -10 and +10 degrees of polar angle and of azimuth
(One-2-3-45, arXiv 2306.16928, section 3.2). How their images relate depends on the polar angle they surround, so every
angle is tried and scored by the epipolar error of all matches. Unlike the paper's own score (``reference``), this one
needs no point that is visible in three images, and it tells when the matches say nothing.
"""

from __future__ import annotations

import math

import numpy as np

from .. import camera
from ..data_types import Elevation
from .matches import IMAGE_WIDTH, Matches, neighbor_cameras, world_to_camera

DEFAULT_ELEVATION = 20.0
"""Degrees assumed where nothing is known: people photograph objects from slightly above."""
POLAR_ANGLES = np.arange(15, 166)
"""Candidates of the search, in degrees."""
MIN_MATCHES = 20
MAX_SCORE = 0.65
"""The best angle's score has to be below this: random matches reach 0.7."""
MIN_SCORE_DEPTH = 0.2
"""How far the best angle's score has to lie below the median of all."""
CLOSE = 5.0
"""Degrees: the confidence of a prediction is the probability that it is off by less."""
CALIBRATION = 1.44
"""By how much predicted deviations are too small: root mean square of error over deviation, on the benchmark's shapes.
The ten predictions that were off by more than 15 degrees all get a confidence below 0.5."""
MAX_PREDICTED = 75.0
"""Predictions are clamped to this many degrees above and below the horizon."""


def estimate_elevation(matches: Matches | None, predicted: tuple[float, float] | None) -> Elevation:
    """The camera's elevation from the matches between the four neighbors of the input view.

    Without usable matches it is ``predicted`` (degrees and one standard deviation, by the view model), and without
    that ``DEFAULT_ELEVATION``. ``Elevation.source`` says which.
    """
    if matches is not None:
        matched = search_elevation(matches)
        if matched is not None:
            return matched
    if predicted is not None:
        degrees, deviation = predicted
        clamped = float(np.clip(degrees, -MAX_PREDICTED, MAX_PREDICTED))
        confidence = math.erf(CLOSE / (CALIBRATION * max(deviation, 1e-6) * math.sqrt(2)))
        return Elevation(clamped, confidence, "predicted")
    return Elevation(DEFAULT_ELEVATION, 0.0, "default")


def search_elevation(matches: Matches) -> Elevation | None:
    """The elevation that fits the matches best; None where they are too few, or fit every angle alike."""
    total = sum(len(rows) for rows in matches.values())
    if total < MIN_MATCHES:
        return None
    scores = np.array([epipolar_score(matches, polar) for polar in POLAR_ANGLES.tolist()])
    depth = float(np.median(scores) - scores.min())
    if scores.min() > MAX_SCORE or depth < MIN_SCORE_DEPTH:
        return None
    polar = POLAR_ANGLES[scores.argmin()]
    confidence = min(1.0, 2 * depth) * total / (total + MIN_MATCHES)
    return Elevation(float(90 - polar), confidence, "matched")


def epipolar_score(matches: Matches, polar: float) -> float:
    """How badly the matches fit four cameras around ``polar`` degrees: 0 (perfect) .. 1; random matches are near 0.7.

    The mean of d / (1 + d), weighted by confidence, where d is the squared Sampson distance in pixels of
    ``IMAGE_WIDTH``; the quotient bounds the influence of outliers.
    """
    poses = neighbor_cameras(polar)
    total = weight = 0.0
    for (first, second), rows in matches.items():
        rotation, translation = _relative_pose(poses[first], poses[second])
        essential = np.cross(translation, rotation, axis=0)
        rays, other_rays = _pixel_rays(rows[:, :2]), _pixel_rays(rows[:, 2:4])
        line, other_line = rays @ essential.T, other_rays @ essential
        product = (other_rays * line).sum(-1)
        gradient = line[:, 0] ** 2 + line[:, 1] ** 2 + other_line[:, 0] ** 2 + other_line[:, 1] ** 2
        distance = product**2 / np.maximum(gradient, 1e-12) * (camera.FOCAL * IMAGE_WIDTH) ** 2
        total += (rows[:, 4] * distance / (1 + distance)).sum()
        weight += rows[:, 4].sum()
    return total / max(weight, 1e-12)


def _relative_pose(camera_to_world: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) and translation (3,) from one camera's OpenCV axes to the other's."""
    first, second = world_to_camera(camera_to_world), world_to_camera(other)
    rotation = second[:, :3] @ first[:, :3].T
    return rotation, second[:, 3] - rotation @ first[:, 3]


def _pixel_rays(pixels: np.ndarray) -> np.ndarray:
    """Pixels (P, 2) of ``IMAGE_WIDTH`` -> ray directions (P, 3) in OpenCV axes, with depth 1."""
    center = IMAGE_WIDTH / 2
    flat = (pixels - center) / (camera.FOCAL * IMAGE_WIDTH)
    return np.hstack([flat, np.ones((len(flat), 1))])

"""One-2-3-45's own search for the elevation (arXiv 2306.16928, section 3.2), for the reference mode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from .. import camera
from ..data_types import Elevation
from .epipolar import epipolar_score
from .matches import IMAGE_WIDTH, Matches, neighbor_cameras, world_to_camera


@dataclass(frozen=True)
class KeypointTriples:
    """Keypoints that one image shares with two others."""

    images: tuple[int, int, int]
    """The image and the two others, as indices of ``neighbor_cameras``."""
    rows: np.ndarray
    """(N, 5) float matches between the image and the first other: x, y, x, y, confidence."""
    others: np.ndarray
    """(N, 5) the same keypoints' matches in the second other."""


def estimate_elevation(matches: Matches) -> Elevation:
    """The reference's answer, which is 0 degrees (level with the object) where it finds none.

    The confidence is ours: the share by which the matches fit (``epipolar_score``), about 0.3 where they are random.
    """
    polar = search_polar(matches)
    if polar is None:
        return Elevation(0.0, 0.0, "default")
    return Elevation(float(90 - polar), float(1 - epipolar_score(matches, polar)), "matched")


def search_polar(matches: Matches) -> int | None:
    """The reference's search in steps of 10 degrees, then of 1: the polar angle, or None where a pair has no match.

    Matches that share no keypoints leave every error at 0, and the answer is then 20, as in the reference.
    """
    if any(len(rows) == 0 for rows in matches.values()):
        return None
    triples = shared_keypoints(matches)
    best = min(range(30, 150, 10), key=lambda polar: reprojection_error(triples, polar))
    return min(range(best - 10, best + 10), key=lambda polar: reprojection_error(triples, polar))


def shared_keypoints(matches: Matches) -> list[KeypointTriples]:
    """Where a match of the first image has the same keypoint (within a pixel) in two others: six pairs of these."""
    reversed_matches = {(second, first): rows[:, [2, 3, 0, 1, 4]] for (first, second), rows in matches.items()}
    directed = {**matches, **reversed_matches}
    triples = []
    for start in range(3):
        first, second, *others = ((start + step) % 4 for step in range(4))
        rows = directed[first, second]
        for other in others:
            other_rows = directed[first, other]
            distance = cdist(rows[:, :2], other_rows[:, :2])
            shared, nearest = distance.min(1) < 1, distance.argmin(1)
            triples.append(KeypointTriples((first, second, other), rows[shared], other_rows[nearest[shared]]))
    return triples


def reprojection_error(triples: Sequence[KeypointTriples], polar: float) -> float:
    """The reference's score of a polar angle: pixels between reprojected and matched points, a sum of six means.

    A point is triangulated from two images and projected into a third where a match of the first has the same keypoint.
    """
    projections = [_intrinsics() @ world_to_camera(pose) for pose in neighbor_cameras(polar)]
    error = 0.0
    for triple in triples:
        if len(triple.rows):
            first, second, other = (projections[image] for image in triple.images)
            points = _triangulate(first, second, triple.rows[:, :2], triple.rows[:, 2:4])
            projected = other @ points
            residual = np.linalg.norm(triple.others[:, 2:4] - (projected[:2] / projected[2]).T, axis=-1)
            error += (residual * triple.others[:, 4]).sum() / triple.others[:, 4].sum()
    return error


def _triangulate(first: np.ndarray, second: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Homogeneous points (4, N) that projections (3, 4) show at pixels (N, 2), by the linear method of Hartley and
    Zisserman's Multiple View Geometry, section 12.2. As cv2.triangulatePoints, but all points in one call of LAPACK:
    four times as fast."""
    rows = [a[:, :1] * first[2] - first[0], a[:, 1:] * first[2] - first[1]]
    rows += [b[:, :1] * second[2] - second[0], b[:, 1:] * second[2] - second[1]]
    return np.linalg.svd(np.stack(rows, 1))[2][:, -1].T


def _intrinsics() -> np.ndarray:
    """The camera matrix (3, 3) for images of ``IMAGE_WIDTH``."""
    focal, center = camera.FOCAL * IMAGE_WIDTH, IMAGE_WIDTH / 2
    return np.array([[focal, 0, center], [0, focal, center], [0, 0, 1]])

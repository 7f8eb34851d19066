"""The camera's elevation from matches: synthetic matches, rendered objects, and the reference's own numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backend import camera
from backend.elevation_estimation import reference
from backend.elevation_estimation.epipolar import (
    DEFAULT_ELEVATION,
    epipolar_score,
    estimate_elevation,
    search_elevation,
)
from backend.elevation_estimation.matches import VIEW_PAIRS
from backend.elevation_estimation.sift import match_images
from backend.job_report import CERTAIN
from tests.helpers.paths import TEST_DATA

CASES = json.loads((TEST_DATA / "zero123" / "elevation_cases.json").read_text())


def matches_of(case: dict) -> dict:
    return {
        tuple(map(int, pair.split("_"))): np.array(rows, float).reshape(-1, 5) for pair, rows in case["matches"].items()
    }


def matches_around(polar: float, points: int, noise: float, outliers: float, seed: int) -> dict:
    """Points of a ball as the four neighbors of a view at ``polar`` would see them."""
    rng = np.random.default_rng(seed)
    cloud = rng.normal(size=(points, 3))
    cloud *= 0.4 / np.linalg.norm(cloud, axis=1, keepdims=True)
    change, turn = np.transpose(camera.NEIGHBORS)
    poses = camera.camera_to_world(polar + change, turn)
    pixels = [camera.project(cloud, pose, 256)[0] + rng.normal(0, noise, (points, 2)) for pose in poses]
    matches = {}
    for first, second in VIEW_PAIRS:
        rows = np.hstack([pixels[first], pixels[second], np.ones((points, 1))])
        wrong = rng.random(points) < outliers
        rows[wrong, 2:4] = rng.uniform(40, 216, (wrong.sum(), 2))
        matches[first, second] = rows
    return matches


def render_ellipsoids(polar: float, azimuth: float, size: int, seed: int) -> np.ndarray:
    """Four ellipsoids with a busy pattern, ray traced: (size, size, 3) on white."""
    rng = np.random.default_rng(seed)
    centers, radii = rng.uniform(-0.22, 0.22, (4, 3)), rng.uniform(0.12, 0.26, (4, 3))
    waves, phases, tints = rng.normal(0, 25, (24, 3)), rng.uniform(0, 6.28, 24), rng.normal(0, 1, (24, 3))
    origins, directions = camera.rays(camera.camera_to_world(polar, azimuth), size)
    nearest = np.full((size, size), np.inf)
    for center, radius in zip(centers, radii, strict=True):
        start, along = (origins - center) / radius, directions / radius
        a, b, c = (along**2).sum(-1), (start * along).sum(-1), (start**2).sum(-1) - 1
        inside = b * b - a * c
        nearest = np.minimum(nearest, np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf))
    hit = np.isfinite(nearest)
    points = origins + directions * np.where(hit, nearest, 0)[..., None]
    pattern = (np.sin(points @ waves.T + phases)[..., None] * tints).mean(-2)
    return np.where(hit[..., None], 0.5 + 0.35 * np.tanh(4 * pattern), 1).astype(np.float32)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_reference_scores_and_result_are_the_originals(case):
    matches = matches_of(case)
    assert reference.search_polar(matches) == case["returned"]
    if case["coarse_errors"] is not None:
        triples = reference.shared_keypoints(matches)
        errors = [reference.reprojection_error(triples, polar) for polar in range(30, 150, 10)]
        assert np.allclose(errors, case["coarse_errors"], rtol=1e-3, atol=1e-4)
        best = 30 + 10 * int(np.argmin(case["coarse_errors"]))
        errors = [reference.reprojection_error(triples, polar) for polar in range(best - 10, best + 10)]
        assert np.allclose(errors, case["fine_errors"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"])
def test_reference_elevation_is_what_the_original_uses(case):
    estimated = reference.estimate_elevation(matches_of(case))
    assert 90 - estimated.degrees == case["final_polar_used"]
    assert estimated.source == ("default" if case["returned"] is None else "matched")
    sure = case["returned"] is not None and not case["kind"].startswith("matches share no")
    assert (estimated.confidence > 0.4) == sure


@pytest.mark.parametrize("case", [case for case in CASES if case["true_polar_deg"]], ids=lambda case: case["kind"])
def test_search_finds_the_true_elevation(case):
    assert search_elevation(matches_of(case)).degrees == pytest.approx(90 - case["true_polar_deg"], abs=1)


@pytest.mark.parametrize("polar", [35, 60, 90, 120])
def test_confidence_falls_with_noise_and_outliers_but_the_elevation_stays(polar):
    clean = search_elevation(matches_around(polar, 60, 0, 0, polar))
    rough = search_elevation(matches_around(polar, 60, 0.7, 0.15, polar))
    assert clean.degrees == 90 - polar
    assert rough.degrees == pytest.approx(90 - polar, abs=3)
    assert clean.source == rough.source == "matched"
    assert 0 < rough.confidence < clean.confidence <= 1
    assert epipolar_score(matches_around(polar, 60, 0, 0, polar), polar) < 1e-3


def test_matches_that_say_nothing_are_ignored():
    """Where the original answers 20 degrees, or anything."""
    unrelated = next(case for case in CASES if case["kind"].startswith("matches share no"))
    assert search_elevation(matches_of(unrelated)) is None
    assert search_elevation(matches_around(70, 60, 0, 1.0, 0)) is None  # nothing but outliers
    assert search_elevation(matches_around(70, 3, 0, 0, 0)) is None  # right, but only 18
    assert search_elevation({pair: np.zeros((0, 5)) for pair in VIEW_PAIRS}) is None


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("polar", [55, 85])
def test_images_of_a_textured_object_give_its_elevation(size, polar):
    images = [render_ellipsoids(polar + change, turn, size, polar) for change, turn in camera.NEIGHBORS]
    estimated = estimate_elevation(match_images(np.stack(images)), (0.0, 1.0))
    assert estimated.source == "matched"
    assert estimated.degrees == pytest.approx(90 - polar, abs=4)


def test_elevation_is_predicted_or_default_without_matches():
    blank = np.ones((4, 128, 128, 3), np.float32)
    nothing = match_images(blank)
    assert sum(len(rows) for rows in nothing.values()) == 0
    predicted = estimate_elevation(nothing, (31.5, 4.0))
    assert (predicted.source, predicted.degrees) == ("predicted", 31.5)
    assert 0 < estimate_elevation(None, (31.5, 12.0)).confidence < predicted.confidence < 1
    default = estimate_elevation(nothing, None)
    assert (default.source, default.degrees, default.confidence) == ("default", DEFAULT_ELEVATION, 0.0)


@pytest.mark.parametrize(
    "deviation, is_told", [(1e-9, False), (2, False), (4.5, False), (5.5, True), (9, True), (40, True)]
)
def test_users_are_told_of_deviations_with_which_elevations_were_far_off(deviation, is_told):
    confidence = estimate_elevation(None, (20.0, deviation)).confidence
    assert 0 < confidence <= 1 and (confidence < CERTAIN) == is_told

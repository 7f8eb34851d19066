"""A component stays where the input image shows it, however deep the gap that separates it from the rest."""

from __future__ import annotations

import numpy as np
import pytest

from backend import camera, meshing
from backend.meshing.measurement import measure
from tests.helpers.fields import AnalyticField, ball

POSE = camera.camera_to_world(90.0, 0.0)
FOOT, SHADE = ((0, 0, -0.3), 0.15), ((0, 0, 0.22), 0.2)
BEHIND = ((0, 0.42, -0.3), 0.1)
"""Hidden from the camera, which is on -Y, by the foot."""
DISTANT = ((0, 0, 0.5), 0.08)
"""Farther from the foot than any gap that is bridged."""


def mask_of(*balls: tuple, pole: float = 0.0, size: int = 128) -> np.ndarray:
    """The silhouette of balls, and of a pole this wide between the foot and the shade."""
    origins, directions = camera.rays(POSE, size)
    hit = np.zeros((size, size), bool)
    for center, radius in balls:
        hit |= np.linalg.norm(np.cross(np.array(center) - origins, directions), axis=-1) < radius
    pixels, _ = camera.project(np.array([FOOT[0], SHADE[0]], np.float64), POSE, size)
    (column, low), (_, high) = pixels
    rows, columns = np.mgrid[:size, :size] + 0.5
    hit |= (np.abs(columns - column) < pole * size / 2) & (rows > high) & (rows < low)
    return hit.astype(np.float32)


def extract(mask: np.ndarray | None, *balls: tuple) -> meshing.extraction.Mesh:
    field = AnalyticField(lambda p: np.min([ball(p, radius, center) for center, radius in balls], axis=0))
    silhouette = None if mask is None else meshing.InputSilhouette(mask, POSE)
    return meshing.extract(field, 96, 6000, silhouette=silhouette)


def test_a_shade_on_a_pole_that_the_field_lost_stays():
    lamp = extract(mask_of(FOOT, SHADE, pole=0.04), FOOT, SHADE)
    report = measure(lamp)
    assert lamp.vertices[:, 2].min() < -0.4 and lamp.vertices[:, 2].max() > 0.38
    assert report["components"] == 1 and report["watertight"] and report["manifold"]


@pytest.mark.parametrize(
    ("mask", "extra"),
    [
        (None, FOOT),  # nothing is known
        (mask_of(FOOT, SHADE), FOOT),  # the image shows two things
        (mask_of(SHADE), FOOT),  # it shows only the rest
    ],
    ids=["no image", "separate in the image", "not in the image"],
)
def test_a_component_that_the_image_does_not_connect_is_dropped(mask, extra):
    assert extract(mask, SHADE, extra).vertices[:, 2].min() > 0


def test_what_the_rest_hides_needs_evidence_that_no_image_has():
    hidden = extract(mask_of(FOOT), FOOT, BEHIND)
    assert hidden.vertices[:, 1].max() < 0.2


def test_the_widest_gap_is_not_bridged():
    mask = mask_of(FOOT, DISTANT, pole=0.04)
    assert extract(mask, FOOT, DISTANT).vertices[:, 2].max() < 0


@pytest.mark.parametrize("mask", [np.zeros((128, 128), np.float32), np.ones((64, 64), np.float32)], ids=["none", "all"])
def test_an_empty_or_full_mask_is_no_error(mask):
    assert measure(extract(mask, FOOT, SHADE))["watertight"]

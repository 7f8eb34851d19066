"""Pictures so large that the object is looked for in a reduced one."""

from __future__ import annotations

import numpy as np
import pytest

from backend.preprocessing import foreground
from backend.preprocessing.foreground import cut_out
from tests.helpers.photographs import in_image, iou, photograph

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "kind", "scale", "center", "method"),
    [
        ("car", "room", 0.8, (0.5, 0.5), "auto"),
        ("teddy", "wood", 0.3, (0.7, 0.6), "auto"),
        ("vase", "studio", 0.7, (0.3, 0.9), "auto"),  # cut off by the frame
        ("ball", "studio", 0.6, (0.5, 0.5), "grabcut"),
    ],
)
def test_the_edge_is_that_of_the_full_size(name, kind, scale, center, method, monkeypatch):
    monkeypatch.setattr(foreground, "FINDING_SIDE", 300)
    picture = photograph(name, kind, (600, 900), scale, center, shadow=0)
    cutout = cut_out(picture.image, method)
    alpha = in_image(cutout, picture.image.shape)
    assert iou(alpha, picture.alpha) > 0.97
    edge = (picture.alpha > 0) & (picture.alpha < 1)
    assert np.abs(alpha - picture.alpha)[edge].mean() < 0.11  # of the reduced picture alone: 0.13 to 0.17
    assert cutout.quality is not None and cutout.quality.share == pytest.approx((picture.alpha > 0.5).mean(), rel=0.03)


def test_no_more_pixels_than_the_canvas_has_are_worked_on(monkeypatch):
    monkeypatch.setattr(foreground, "FINDING_SIDE", 300)
    monkeypatch.setattr(foreground, "MAX_CANVAS", 240)
    picture = photograph("mug", "studio", (600, 900), 0.6, (0.3, 0.6), shadow=0)
    cutout = cut_out(picture.image, "grabcut")
    assert len(cutout.image) == pytest.approx(240, abs=4)
    assert iou(in_image(cutout, picture.image.shape), picture.alpha) > 0.97


def test_transparency_around_a_large_picture_of_a_ball_is_the_balls(monkeypatch):
    monkeypatch.setattr(foreground, "FINDING_SIDE", 150)
    picture = photograph("ball", "white", (300, 360), 0.9)
    picture.image[..., 3] = picture.alpha
    cutout = cut_out(picture.image)
    assert cutout.method == "alpha" and iou(in_image(cutout, picture.image.shape), picture.alpha) > 0.99

"""Cutouts that lost thin parts or filled gaps: mended where the colors tell, doubted in any case."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from backend.errors import UserError
from backend.preprocessing.color_evidence import mend
from backend.preprocessing.foreground import cut_out
from tests.helpers.cases import in_full, others_in_full
from tests.helpers.photographs import background, compose, in_image, iou, photograph, place

SIZE = 240, 320
PATTERNS = {
    "stripes": ((0.85, 0.85, 0.8), (0.35, 0.45, 0.65)),
    "boards": ((0.9, 0.85, 0.8), (0.65, 0.3, 0.3)),
    "checks": ((0.8, 0.8, 0.8), (0.45, 0.45, 0.5)),
    "bars": ((0.8, 0.8, 0.78), (0.3, 0.32, 0.3)),
}


def wall(pattern: str, height: int, width: int) -> np.ndarray:
    """One of ``PATTERNS``: (height, width, 3)."""
    row, column = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    second = {
        "stripes": np.floor(16 * column) % 2,
        "boards": np.floor(12 * row) % 2,
        "checks": (np.floor(10 * row) + np.floor(13 * column)) % 2,
        "bars": (20 * column) % 1 < 0.15,
    }[pattern][..., None]
    light, dark = PATTERNS[pattern]
    noise = np.random.default_rng(0).normal(0, 0.012, (height, width, 3))
    return np.clip((1 - second) * light + second * dark + noise, 0, 1).astype(np.float32)


def rough(alpha: np.ndarray, fault: str) -> tuple[np.ndarray, np.ndarray]:
    """What a model may see of an object's true ``alpha`` (H, W), last and first: without what is thin, with the gaps
    filled where it was not certain, or exactly."""
    kernel = np.ones((15, 15), np.uint8)
    solid = (alpha > 0.5).astype(np.float32)
    if fault == "thin":
        seen = cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel)
        return seen, seen
    if fault == "gaps":
        seen = np.maximum(solid, 0.9 * cv2.morphologyEx(solid, cv2.MORPH_CLOSE, kernel))
        return seen, seen
    return solid, solid


@pytest.mark.parametrize(
    ("name", "kind", "fault"),
    [
        ("lamp", "checks", "thin"),
        in_full("lamp", "boards", "thin"),
        in_full("lamp", "bricks", "thin"),
        in_full("lamp", "grass", "thin"),
        ("mug", "wood", "thin"),
        in_full("chair", "bars", "gaps"),
        ("chair", "cloth", "gaps"),
        in_full("chair", "studio", "gaps"),
    ],
)
def test_colors_mend_what_a_model_lost_or_filled(name, kind, fault):
    behind = wall(kind, *SIZE) if kind in PATTERNS else background(kind, *SIZE)
    picture = compose(place(name, *SIZE, 0.7), behind)
    seen, first = rough(picture.alpha, fault)
    before = iou(seen, picture.alpha)
    mended, is_doubted = mend(picture.image[..., :3], seen, first)
    assert is_doubted
    assert iou(mended, picture.alpha) > before + 0.02, (before, iou(mended, picture.alpha))


@pytest.mark.parametrize(
    "kind", ["white", "studio", "wall_and_table", "wood", "bricks", "cloth", "grass", "room", "dark"]
)
@pytest.mark.parametrize(
    "name", others_in_full(["car", "chair", "mug", "teddy", "ball", "vase", "lamp"], "chair", "lamp")
)
def test_colors_do_not_touch_a_good_mask(name, kind):
    """Also where the object has colors of its background."""
    picture = compose(place(name, *SIZE, 0.7), background(kind, *SIZE), 0.35)
    seen, first = rough(picture.alpha, "")
    mended, is_doubted = mend(picture.image[..., :3], seen, first)
    assert not is_doubted and mended is seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        in_full("chair", "stripes"),
        ("chair", "checks"),
        in_full("lamp", "checks"),
        ("lamp", "bars"),
        in_full("chair", "boards"),
    ],
)
def test_a_cutout_before_a_pattern_is_right_or_doubted(name, kind):
    picture = compose(place(name, 480, 640, 0.6, (0.5, 0.55)), wall(kind, 480, 640), 0.35)
    try:
        cutout = cut_out(picture.image)
    except UserError as error:
        assert error.code == "no_object"
        return
    assert cutout.quality is not None
    is_right = iou(in_image(cutout, picture.image.shape), picture.alpha) > 0.9
    assert is_right or any("doubtful" in warning for warning in cutout.quality.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [in_full("wood"), "cloth"])
def test_filled_gaps_are_doubted(kind):
    picture = photograph("chair", kind)
    cutout = cut_out(picture.image)
    assert cutout.quality is not None
    assert any("gaps in it filled" in warning for warning in cutout.quality.warnings)

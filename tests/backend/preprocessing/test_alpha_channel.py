"""What editors and exports leave in an alpha channel does not change the object; each kind by several members."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest

from backend.io.image import load_image
from backend.preprocessing.alpha_channel import clean_alpha, is_frame
from backend.preprocessing.foreground import cut_out
from tests.helpers.paths import ROOT
from tests.helpers.photographs import EXAMPLES, OBJECTS, in_image, iou, place

SHAPE = (300, 360)


@pytest.fixture(autouse=True)
def no_model(monkeypatch, tmp_path):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))


def box(alpha):
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    return rows[0], rows[-1], columns[0], columns[-1]


def same_object(image, clean):
    """The cutout of ``image`` is that of ``clean``, to within a pixel."""
    made, expected = cut_out(image.astype(np.float32)), cut_out(clean)
    assert made.method == "alpha"
    mask, truth = (in_image(cutout, SHAPE) for cutout in (made, expected))
    assert iou(mask, truth) > 0.985
    assert np.abs(np.subtract(box(mask > 0.05), box(truth > 0.05))).max() <= 2
    assert np.abs(np.subtract(made.canvas, expected.canvas)).max() <= 4
    assert made.quality.warnings == expected.quality.warnings
    return made, expected


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("car", "8f404bb4e5e54212"),
        ("chair", "a809f1cfc15f69d5"),
        ("mug", "57ef849eb54cc85c"),
        ("teddy", "585a992b6abc2d88"),
    ],
)
def test_clean_alpha_is_taken_to_the_last_bit(name, digest):
    cutout = cut_out(load_image(ROOT / "examples" / f"{name}.png"))
    assert hashlib.sha256(cutout.image.tobytes()).hexdigest()[:16] == digest
    assert cutout.method == "alpha" and cutout.quality.warnings == ()


@pytest.mark.parametrize("haze", [2, 3, 8, 20])
@pytest.mark.parametrize("name", ["car", "lamp"])
def test_haze_everywhere_is_removed(name, haze):
    clean = place(name, *SHAPE)
    image = clean.copy()
    image[..., 3] = np.maximum(image[..., 3], haze / 255)
    same_object(image, clean)


@pytest.mark.parametrize("seed", [0, 1])
def test_uneven_haze_is_removed(seed):
    clean = place("teddy", *SHAPE)
    noise = np.random.default_rng(seed).random((6, 8), np.float32) * 9 / 255
    image = clean.copy()
    image[..., 3] = np.maximum(image[..., 3], cv2.resize(noise, SHAPE[::-1]))
    same_object(image, clean)


@pytest.mark.parametrize("alpha", [2 / 255, 0.3, 1.0])
@pytest.mark.parametrize("pixels", [[(0, 0)], [(3, 350), (297, 5)], [(0, 180), (1, 180), (0, 181)]])
def test_stray_pixels_are_removed(pixels, alpha):
    clean = place("mug", *SHAPE)
    image = clean.copy()
    for row, column in pixels:
        image[row, column] = (0, 1, 0, alpha)
    same_object(image, clean)


@pytest.mark.parametrize("fading", [0.1, 0.4, 0.7])
@pytest.mark.parametrize("name", ["teddy", "vase"])
def test_fading_is_undone_and_the_colors_are_not_washed_out(name, fading):
    clean = place(name, *SHAPE)
    image = clean.copy()
    image[..., 3] *= fading
    made, expected = same_object(image, clean)
    solid = (made.image[..., 3] > 0.99) & (expected.image[..., 3] > 0.99)
    assert solid.mean() > 0.15 and np.array_equal(made.image[solid][:, :3], expected.image[solid][:, :3])


def test_half_transparent_parts_of_an_opaque_object_stay():
    image = place("vase", *SHAPE)
    image[120:160, 150:210, 3] *= 0.5
    expected = np.where(image[..., 3] < 1.5 / 255, 0, image[..., 3])
    assert np.array_equal(clean_alpha(image[..., :3], image[..., 3]), expected)


@pytest.mark.parametrize("blur", [1.5, 4, 8])
def test_soft_edges_stay_soft(blur):
    clean = place("car", *SHAPE)
    soft = cv2.GaussianBlur(clean[..., 3], (0, 0), blur)
    assert np.abs(clean_alpha(clean[..., :3], soft) - soft).max() < 0.05


@pytest.mark.parametrize(("darkness", "blur", "offset"), [(0.5, 6, (12, 16)), (0.3, 10, (20, 0)), (0.75, 3, (8, 8))])
@pytest.mark.parametrize("name", ["teddy", "ball", "chair"])
def test_drop_shadows_are_removed(name, darkness, blur, offset):
    clean = place(name, *SHAPE, scale=0.5)
    alpha = clean[..., 3]
    shadow = darkness * cv2.GaussianBlur(np.roll(alpha, offset, (0, 1)), (0, 0), blur) * (1 - alpha)
    both = alpha + shadow
    image = np.dstack([clean[..., :3] * (alpha / np.maximum(both, 1e-4))[..., None], both])
    mask = in_image(cut_out(image.astype(np.float32)), SHAPE)
    assert iou(mask, alpha) > 0.93
    assert np.abs(np.subtract(box(mask > 0.5), box(alpha > 0.5))).max() <= 3


def test_dark_windows_are_no_shadow():
    image = place("car", *SHAPE)
    image[130:150, 160:190] = (0.05, 0.05, 0.08, 0.5)  # all around it the car is opaque
    assert clean_alpha(image[..., :3], image[..., 3])[135:145, 165:185].min() == np.float32(0.5)


def frame(kind, height, width):
    row, column = np.mgrid[0:height, 0:width] + 0.5
    y, x = np.abs(row - height / 2), np.abs(column - width / 2)
    if kind == "ellipse":
        return (x / (width / 2 - 5)) ** 2 + (y / (height / 2 - 5)) ** 2 <= 1
    radius = {"rectangle": 0, "rounded": 30, "very round": 80}[kind]
    return (
        np.hypot(np.maximum(x - width / 2 + 5 + radius, 0), np.maximum(y - height / 2 + 5 + radius, 0)) <= radius + 1e-6
    )


@pytest.mark.parametrize("shape", [(200, 200), (200, 330)])
@pytest.mark.parametrize("kind", ["ellipse", "rectangle", "rounded", "very round"])
def test_outlines_of_pictures_are_recognized(kind, shape):
    assert is_frame(frame(kind, *shape).astype(np.float32))


@pytest.mark.parametrize("name", [name for name in OBJECTS if name != "ball"])
def test_outlines_of_objects_are_none_of_a_picture(name):
    assert not is_frame(place(name, *SHAPE)[..., 3])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_alpha_cropped_to_the_object_does_not_cut_it_off(name):
    image = place(name, *SHAPE)
    top, bottom, left, right = box(image[..., 3] > 0.5)
    assert cut_out(image[top : bottom + 1, left : right + 1]).quality.sides_cut == ()


@pytest.mark.parametrize(
    ("center", "sides"), [((0.95, 0.5), ("right",)), ((0.5, 0.0), ("top",)), ((0, 1), ("left", "bottom"))]
)
def test_an_alpha_that_runs_out_of_the_image_is_said(center, sides):
    quality = cut_out(place("vase", *SHAPE, 0.9, center)).quality
    assert quality.sides_cut == sides
    assert "cut off" in quality.warnings[0] and all(side in quality.warnings[0] for side in sides)


@pytest.mark.parametrize("scale", [0.15, 0.4])
def test_two_objects_are_both_taken_and_said(scale):
    image = np.maximum(place("car", *SHAPE, 0.4, (0.25, 0.5)), place("mug", *SHAPE, scale, (0.75, 0.5)))
    cutout = cut_out(image)
    assert iou(in_image(cutout, SHAPE), image[..., 3]) > 0.99
    assert cutout.quality.parts == 2 if scale == 0.4 else 1

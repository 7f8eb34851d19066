"""Objects of photographs, by U2-Net-P as it is installed with the environment; each kind by several members."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.errors import UserError
from backend.paths import weights_folder
from backend.preprocessing.borders import picture_inside
from backend.preprocessing.foreground import cut_out
from backend.preprocessing.segmentation import PATTERNED
from tests.helpers.cases import in_full, others_in_full
from tests.helpers.photographs import Photograph, background, compose, in_image, iou, photograph, place

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def only_our_model(monkeypatch, tmp_path):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))  # models that rembg has left are better


def check(image: np.ndarray, alpha: np.ndarray, least: float = 0.95):
    """The cutout is the object: intersection over union with its true ``alpha``."""
    cutout = cut_out(image.astype(np.float32))
    assert cutout.method == "u2netp"
    mask = in_image(cutout, image.shape)
    assert iou(mask, alpha) > least, iou(mask, alpha)
    return cutout


@pytest.mark.parametrize(
    ("name", "kind", "shape", "scale"),
    [
        ("car", "white", (480, 640), 0.6),
        in_full("lamp", "white", (300, 300), 0.7),
        in_full("teddy", "studio", (640, 480), 0.5),
        in_full("vase", "wall_and_table", (480, 640), 0.7),
        in_full("teddy", "wall_and_table", (300, 400), 0.6),
        in_full("car", "wall_and_table", (640, 480), 0.8),
        ("mug", "wood", (480, 640), 0.5),
        in_full("ball", "bricks", (300, 300), 0.75),
        in_full("vase", "cloth", (480, 640), 0.5),
        in_full("chair", "grass", (480, 640), 0.6),
        in_full("car", "room", (480, 640), 0.6),
        in_full("lamp", "room", (640, 480), 0.6),
        ("teddy", "dark", (480, 640), 0.6),
    ],
)
def test_photographs(name, kind, shape, scale):
    picture = photograph(name, kind, shape, scale)
    cutout = check(picture.image, picture.alpha)
    assert cutout.quality.warnings == () and cutout.quality.sides_cut == ()
    assert abs(cutout.quality.share - (picture.alpha > 0.5).mean()) < 0.01


@pytest.mark.parametrize(("name", "scale"), [("vase", 0.8), in_full("car", 0.6)])
def test_joints_of_bricks_are_no_part_of_the_object(name, scale):
    """Where the model takes the wall's pattern for the object, it looks again without; that is said."""
    picture = photograph(name, "bricks", scale=scale, center=(0.5, 0.5))
    cutout = check(picture.image, picture.alpha)
    assert cutout.quality.warnings == (PATTERNED,)


@pytest.mark.parametrize(
    ("shape", "scale", "least"),
    [
        ((96, 128), 0.7, 0.93),
        ((1400, 500), 0.8, 0.97),
        in_full((60, 400), 0.8, 0.93),
        in_full((1500, 2200), 0.2, 0.97),
    ],
)
def test_frames_of_all_sizes(shape, scale, least):
    picture = photograph("teddy", "room", shape, scale)
    check(picture.image, picture.alpha, least)


@pytest.mark.parametrize(("name", "kind"), [in_full("car", "wood"), ("mug", "room"), in_full("teddy", "grass")])
def test_grayscale(name, kind):
    picture = photograph(name, kind)
    picture.image[..., :3] = picture.image[..., :3].mean(-1, keepdims=True)
    check(picture.image, picture.alpha)


@pytest.mark.parametrize(("name", "light"), [in_full("teddy", 0.15), ("mug", 0.1), in_full("vase", 0.25)])
def test_dark_objects_in_the_dark(name, light):
    placed = place(name, 400, 480)
    placed[..., :3] *= light
    picture = compose(placed, 0.5 * background("dark", 400, 480))
    check(picture.image, picture.alpha, 0.9)


@pytest.mark.parametrize("name", [in_full("ball"), "vase"])
def test_the_dark_half_of_an_object_in_the_dark_is_taken_or_doubted(name):
    placed = place(name, 320, 320)
    placed[160:, :, :3] = 0.08
    picture = compose(placed, np.full((320, 320, 3), 0.03, np.float32))
    cutout = cut_out(picture.image)
    assert iou(in_image(cutout, picture.image.shape), picture.alpha) > 0.93 or cutout.quality.warnings


@pytest.mark.parametrize(
    ("name", "kind", "color"), [in_full("car", "white", 0.9), in_full("vase", "studio", 0.1), ("mug", "wood", 0.5)]
)
def test_edges_have_the_objects_colors(name, kind, color):
    placed = place(name, 480, 640)
    placed[..., :3] = color, 0.3, 1 - color
    picture = compose(placed, background(kind, 480, 640))
    cutout = check(picture.image, picture.alpha, 0.94)
    edge = (cutout.image[..., 3] > 0.1) & (cutout.image[..., 3] < 0.9)
    error = np.abs(cutout.image[..., :3][edge] - (color, 0.3, 1 - color)).max(-1)
    assert edge.sum() > 100 and np.percentile(error, 90) < 0.1


def barred(picture: Photograph, top: int, right: int, bottom: int, left: int, color=0.0) -> Photograph:
    height, width = picture.alpha.shape
    image = np.full((height + top + bottom, width + left + right, 4), color, np.float32)
    image[..., 3] = 1
    alpha = np.zeros(image.shape[:2], np.float32)
    inside = slice(top, top + height), slice(left, left + width)
    image[inside], alpha[inside] = picture.image, picture.alpha
    return Photograph(image, alpha)


BARS = [
    ("car", "room", (60, 0, 60, 0), 0.0),
    ("teddy", "wood", (80, 0, 80, 0), 1.0),
    ("vase", "studio", (0, 70, 0, 70), 0.0),
    ("mug", "wall_and_table", (20, 20, 20, 20), 1.0),
    ("lamp", "grass", (15, 15, 60, 15), 0.9),
    ("car", "bricks", (3, 3, 3, 3), 0.0),
]


@pytest.mark.parametrize(("name", "kind", "bars", "color"), BARS)
def test_bars_and_frames_are_found(name, kind, bars, color):
    picture = barred(photograph(name, kind, (300, 400)), *bars, color)
    top, _, _, left = bars
    rows, columns = picture_inside(np.round(picture.image[..., :3] * 255).astype(np.float32) / 255)
    assert (rows, columns) == (slice(top, top + 300), slice(left, left + 400))


@pytest.mark.parametrize(("name", "kind", "bars", "color"), [BARS[0], *(in_full(*bars) for bars in BARS[1:4])])
def test_bars_and_frames_are_not_the_object(name, kind, bars, color):
    picture = barred(photograph(name, kind, (300, 400)), *bars, color)
    check(picture.image, picture.alpha)


@pytest.mark.parametrize("kind", ["white", "studio", "wall_and_table", "room"])
@pytest.mark.parametrize("name", ["car", "mug", "ball"])
def test_a_plain_background_is_no_bar(name, kind):
    image = photograph(name, kind, (300, 400), shadow=0).image[..., :3]
    assert picture_inside(image) == (slice(0, 300), slice(0, 400))


def test_a_box_on_a_plain_background_is_no_picture_in_a_frame():
    image = np.ones((300, 400, 4), np.float32)
    image[90:220, 120:300, :3] = (0.6, 0.4, 0.2)
    cutout = check(image, (image[..., 0] < 0.9).astype(np.float32))
    assert cutout.canvas[2] < 260


def cut_to(shape: str, picture: Photograph) -> np.ndarray:
    """A picture whose transparency is that of an avatar, of rounded corners, or of a margin."""
    height, width = picture.alpha.shape
    canvas = Image.new("L", (4 * width, 4 * height))
    draw, corners = ImageDraw.Draw(canvas), [0, 0, 4 * width - 1, 4 * height - 1]
    if shape == "circle":
        draw.ellipse(corners, fill=255)
    else:
        draw.rounded_rectangle(
            corners, radius={"margin": 0, "small corners": 60, "large corners": 400}[shape], fill=255
        )
    image = picture.image.copy()
    image[..., 3] = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    image[image[..., 3] == 0] = (0, 1, 0, 0)
    return np.pad(image, ((30, 20), (40, 40), (0, 0))) if shape == "margin" else image


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("car", "room", "circle"),
        in_full("teddy", "wood", "circle"),
        in_full("mug", "studio", "large corners"),
        ("vase", "grass", "large corners"),
        in_full("ball", "room", "small corners"),
        in_full("car", "grass", "margin"),
        ("teddy", "white", "margin"),
    ],
)
def test_transparency_that_outlines_a_picture_is_not_the_object(name, kind, shape):
    picture = photograph(name, kind, (360, 360), 0.55, (0.5, 0.5))
    image = cut_to(shape, picture)
    alpha = np.pad(picture.alpha, ((30, 20), (40, 40))) if shape == "margin" else picture.alpha
    check(image, alpha)


def solid(kind: str) -> np.ndarray:
    """An object whose own outline is that of a picture: (300, 360, 4)."""
    row, column = np.mgrid[-1:1:300j, -1.2:1.2:360j]
    radius = np.hypot(row, column)
    if kind == "ball":
        return place("ball", 300, 360)
    if kind == "shaded ball":  # the model takes its lit side for an object
        row, column = np.mgrid[-1.1:1.1:300j, -1.32:1.32:360j]
        height = np.sqrt(np.clip(1 - row**2 - column**2, 0, 1))
        light = np.clip(-0.4 * column - 0.6 * row + 0.7 * height, 0, 1)
        shade = 0.4 + 0.4 * light + 0.2 * light**20
        return np.dstack([0.9 * shade, 0.2 * shade, 0.2 * shade, row**2 + column**2 < 1]).astype(np.float32)
    if kind.startswith("beach ball"):  # the model takes a stripe for an object
        row, column = np.mgrid[-1.1:1.1:300j, -1.32:1.32:360j]
        across = column if kind.endswith("upright") else row
        stripes = (np.floor(3 * across / np.sqrt(np.clip(1.05 - (row**2 + column**2 - across**2), 0.01, 1))) % 2)[
            ..., None
        ]
        color = stripes * [0.85, 0.85, 0.3] + (1 - stripes) * [0.85, 0.2, 0.1]
        return np.dstack([color, row**2 + column**2 < 1]).astype(np.float32)
    if kind == "coin":
        shade = 0.8 + 0.1 * np.sin(30 * radius)
        return np.dstack([shade, 0.8 * shade, 0.3 * shade, radius < 0.8]).astype(np.float32)
    inside = (np.abs(row) < 0.7) & (np.abs(column) < 0.9)
    planks = 0.9 - 0.3 * (np.abs(row * 5 % 1) < 0.12)
    return np.dstack([0.6 * planks, 0.4 * planks, 0.2 * planks, inside]).astype(np.float32)


@pytest.mark.parametrize(
    "kind",
    others_in_full(
        ["ball", "shaded ball", "beach ball upright", "beach ball", "coin", "crate"],
        "shaded ball",
        "beach ball upright",
        "coin",
    ),
)
def test_objects_with_the_outline_of_a_picture_are_taken_whole(kind):
    image = solid(kind)
    image[image[..., 3] == 0] = 0
    cutout = cut_out(image)
    assert cutout.method == "alpha"
    assert iou(in_image(cutout, image.shape), image[..., 3]) > 0.99


@pytest.mark.parametrize(
    ("name", "kind", "center", "side"),
    [
        ("car", "room", (0.95, 0.5), "right"),
        in_full("vase", "studio", (0.5, 0.0), "top"),
        ("teddy", "studio", (0.5, 0.95), "bottom"),
        in_full("lamp", "cloth", (0.0, 0.9), "left"),
    ],
)
def test_an_object_cut_off_by_the_frame_is_said(name, kind, center, side):
    picture = photograph(name, kind, (400, 480), 0.8, center, shadow=0)
    cutout = check(picture.image, picture.alpha, 0.9)
    assert side in cutout.quality.sides_cut
    assert any("cut off" in warning and side in warning for warning in cutout.quality.warnings)


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [in_full("car", "teddy", "room"), ("mug", "vase", "wood"), in_full("teddy", "teddy", "studio")],
)
def test_two_objects_are_both_taken_or_one_is_said_to_be_left_out(one, other, kind):
    first, second = place(one, 400, 640, 0.5, (0.3, 0.5)), place(other, 400, 640, 0.5, (0.7, 0.5))
    picture = compose(np.maximum(first, second), background(kind, 400, 640))
    cutout = cut_out(picture.image)
    mask = in_image(cutout, picture.image.shape)
    if iou(mask, picture.alpha) > 0.93:
        assert cutout.quality.parts == 2 and any("2 separate parts" in warning for warning in cutout.quality.warnings)
    else:
        assert max(iou(mask, first[..., 3]), iou(mask, second[..., 3])) > 0.93
        assert any("left out" in warning for warning in cutout.quality.warnings)


@pytest.mark.parametrize(
    "kind",
    others_in_full(["white", "studio", "wall_and_table", "wood", "cloth", "grass", "dark"], "studio", "cloth"),
)
def test_a_picture_without_an_object_is_one_sentence(kind):
    image = np.dstack([background(kind, 300, 400), np.ones((300, 400))]).astype(np.float32)
    with pytest.raises(UserError) as caught:
        cut_out(image)
    assert caught.value.code == "no_object" and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", others_in_full(["car", "chair", "teddy", "lamp", "vase"], "teddy"))
def test_a_cutout_that_can_hardly_be_right_is_doubted_or_refused(name):
    picture = photograph(name, "bricks")
    try:
        cutout = cut_out(picture.image)
    except UserError as error:
        assert error.code == "no_object"
        return
    is_right = iou(in_image(cutout, picture.image.shape), picture.alpha) > 0.9
    assert is_right or any("doubtful" in warning for warning in cutout.quality.warnings)


def test_without_the_model_grabcut_is_used_and_said(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path))
    cutout = cut_out(photograph("ball", "studio", shadow=0).image)
    assert cutout.method == "grabcut"
    assert "install the weights u2netp" in cutout.quality.warnings[0]


def test_the_model_is_the_published_one():
    assert (weights_folder() / "u2netp" / "u2netp.onnx").is_file(), "python3 -m backend setup installs it"

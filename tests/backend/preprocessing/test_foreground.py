"""Cutting out: by alpha, by a model of rembg's, by GrabCut; centering; the network's input to the count."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.data_types import Cutout
from backend.errors import UserError
from backend.preprocessing import canvas, foreground, rembg
from tests.helpers.paths import ROOT, TEST_DATA
from tests.helpers.photographs import in_image

DATA = TEST_DATA / "foreground"


@pytest.fixture(autouse=True)
def no_model(monkeypatch, tmp_path):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))


def mug(height, width, color, center=(0.5, 0.5), scale=0.3):
    """A striped, shaded mug: its alpha (H, W) with a real hole in the handle, and its colors (H, W, 3)."""
    canvas = Image.new("L", (4 * width, 4 * height))
    draw = ImageDraw.Draw(canvas)
    unit, x, y = 4 * scale * min(height, width), 4 * center[0] * width, 4 * center[1] * height
    draw.ellipse([x + 0.6 * unit, y - 0.55 * unit, x + 1.55 * unit, y + 0.55 * unit], fill=255)
    draw.ellipse([x + 0.75 * unit, y - 0.35 * unit, x + 1.3 * unit, y + 0.35 * unit], fill=0)
    draw.rounded_rectangle([x - 0.8 * unit, y - unit, x + 0.8 * unit, y + unit], radius=int(0.25 * unit), fill=255)
    alpha = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    row, column = np.mgrid[0:height, 0:width]
    surface = np.ones((height, width, 3)) * color
    surface[(row // max(4, height // 30)) % 4 == 0] = (0.95, 0.9, 0.3)
    shade = 0.55 + 0.45 * np.cos(6 * (column / width - center[0] + 0.08))
    return alpha, np.clip(surface * shade[..., None], 0, 1)


def background(kind, height, width):
    rng = np.random.default_rng(1)
    row, column = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    if kind == "white":
        return np.ones((height, width, 3))
    if kind == "gradient":
        ramp = (row + 0.3 * column)[..., None] / 1.3
        image = (1 - ramp) * (0.9, 0.9, 0.95) + ramp * (0.5, 0.55, 0.7)
    elif kind == "vignette":
        image = (1 - 1.4 * ((row - 0.5) ** 2 + (column - 0.5) ** 2))[..., None] * (0.8, 0.78, 0.7)
    else:
        image = 0.1 + 0.6 * cv2.resize(rng.random((12, 16, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1)


def over(alpha, color, behind):
    image = behind * (1 - alpha[..., None]) + color * alpha[..., None]
    return np.dstack([image, np.ones(alpha.shape)]).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "shape", "color", "placement"),
    [
        ("white", (480, 640), (0.8, 0.2, 0.2), {}),
        ("white", (481, 333), (0.93, 0.92, 0.9), {}),
        ("gradient", (350, 251), (0.2, 0.5, 0.3), {}),
        ("vignette", (600, 800), (0.2, 0.3, 0.8), {}),
        ("gradient", (400, 400), (0.9, 0.5, 0.2), {"center": (0.5, 0.75), "scale": 0.35}),
        ("vignette", (900, 1400), (0.8, 0.3, 0.2), {"center": (0.3, 0.5), "scale": 0.05}),
        ("clutter", (500, 600), (0.9, 0.1, 0.1), {}),
    ],
)
def test_grabcut_finds_the_object(kind, shape, color, placement):
    alpha, surface = mug(*shape, color, **placement)
    cutout = foreground.cut_out(over(alpha, surface, background(kind, *shape)))
    mask = in_image(cutout, shape)
    assert cutout.method == "grabcut"
    both = np.sum((mask > 0.5) & (alpha > 0.5)) / np.sum((mask > 0.5) | (alpha > 0.5))
    assert both > 0.985
    edge = (alpha > 0.2) & (alpha < 0.8)
    assert np.abs(mask - alpha)[edge].mean() < 0.3, "the edge is soft, not cut"


def test_grabcut_works_on_a_gray_picture_whose_background_shares_the_objects_grays():
    alpha, surface = mug(500, 350, (0.4, 0.4, 0.4))
    image = over(alpha, surface, background("gradient", 500, 350))
    image[..., :3] = image[..., :3].mean(-1, keepdims=True)
    mask = in_image(foreground.cut_out(image), alpha.shape)
    assert np.sum((mask > 0.5) & (alpha > 0.5)) / np.sum((mask > 0.5) | (alpha > 0.5)) > 0.985


def test_grabcut_leaves_a_soft_shadow_behind():
    alpha, surface = mug(600, 800, (0.3, 0.4, 0.7))
    shadow = cv2.GaussianBlur(np.roll(alpha, (30, 40), (0, 1)), (0, 0), 32)
    behind = background("gradient", 600, 800) * (1 - 0.35 * shadow[..., None])
    mask = in_image(foreground.cut_out(over(alpha, surface, behind)), alpha.shape)
    assert np.sum((mask > 0.5) & (alpha > 0.5)) / np.sum((mask > 0.5) | (alpha > 0.5)) > 0.93


def test_edge_colors_are_decontaminated():
    alpha, _ = mug(300, 300, (0, 0, 0))
    red = np.broadcast_to(np.float64((0.8, 0.1, 0.1)), (300, 300, 3))
    cutout = foreground.cut_out(over(alpha, red, np.ones((300, 300, 3))))
    edge = (cutout.image[..., 3] > 0.1) & (cutout.image[..., 3] < 0.9)
    assert edge.sum() > 100
    error = np.abs(cutout.image[..., :3][edge] - (0.8, 0.1, 0.1)).max(-1)
    assert np.percentile(error, 95) < 0.1, "half a pixel of white would be 0.45"


def test_alpha_is_used_as_it_is_and_centered_at_75_percent():
    image = np.zeros((200, 300, 4), np.float32)
    image[50:110, 100:220] = (0.2, 0.4, 0.6, 1)
    image[50:110, 100:110, 3] = 0.5
    cutout = foreground.cut_out(image)
    assert cutout.method == "alpha"
    assert cutout.canvas == (80.0, 0.0, 160.0)
    np.testing.assert_array_equal(cutout.image[50:110, 20:140], image[50:110, 100:220])
    assert cutout.image[..., 3].sum() == image[..., 3].sum()


def test_rounded_corners_are_not_a_cutout():
    alpha, surface = mug(300, 300, (0.2, 0.3, 0.8))
    image = over(alpha, surface, background("gradient", 300, 300))
    corner = Image.new("L", (300, 300))
    ImageDraw.Draw(corner).rounded_rectangle([0, 0, 299, 299], radius=24, fill=255)
    image[..., 3] = np.asarray(corner) / 255
    cutout = foreground.cut_out(image)
    assert cutout.method == "grabcut"
    assert cutout.canvas[2] < 330


def test_canvas_of_a_large_image_is_reduced_but_keeps_its_position():
    image = np.zeros((2400, 2400, 4), np.float32)
    image[200:2300, 300:1500] = (0.5, 0.5, 0.1, 1)
    cutout = foreground.cut_out(image)
    assert cutout.image.shape == (2048, 2048, 4)
    assert cutout.canvas == (-500.0, -150.0, 2800.0)
    assert abs(cutout.image[..., 3].mean() - 2100 * 1200 / 2800**2) < 1e-4


@pytest.mark.parametrize("case", [0, 1, 3])
def test_composite_matches_the_reference(case):
    rgba = np.asarray(Image.open(DATA / f"preprocess_{case}_rgba_in.png"), np.float32) / 255
    expected = np.asarray(Image.open(DATA / f"preprocess_{case}_rgb256_out.png"), np.float32)
    cutout = foreground.cut_out(rgba)
    assert cutout.method == "alpha"
    made, _ = canvas.resize_on_white(cutout, 256)
    assert made.dtype == np.float32
    assert np.abs(made * 255 - expected).max() <= 1.001


def test_composite_does_not_bleed_hidden_colors():
    image = np.zeros((256, 256, 4), np.float32)
    image[..., 1] = 1  # green where it is transparent
    image[64:192, 64:192] = (1, 0, 0, 1)
    cutout = Cutout(image, "alpha", (0, 0, 256))
    small, alpha = canvas.resize_on_white(cutout, 60)
    assert small[..., 1].max() <= 1
    np.testing.assert_allclose(small[..., 0], 1, atol=2 / 255)
    np.testing.assert_allclose(small[..., 1], small[..., 2], atol=1.5 / 255)
    np.testing.assert_allclose(1 - small[..., 1], alpha, atol=2 / 255)


def one_color():
    return np.full((100, 120, 4), 0.5, np.float32) + np.float32((0, 0, 0, 0.5))


def only_noise():
    noise = np.random.default_rng(0).normal(0.5, 0.02, (200, 200, 3))
    return np.dstack([noise, np.ones((200, 200))]).astype(np.float32)


def only_gradient():
    return over(np.zeros((200, 300)), np.zeros((200, 300, 3)), background("gradient", 200, 300))


def nothing_visible():
    return np.zeros((64, 64, 4), np.float32)


def a_speck():
    image = np.ones((400, 400, 4), np.float32)
    image[200:206, 200:206, :3] = 0
    return image


def very_thin():
    image = np.ones((5, 400, 4), np.float32)
    image[:, 100:300, :3] = 0
    return image


@pytest.mark.parametrize("make_image", [one_color, only_noise, only_gradient, nothing_visible, a_speck, very_thin])
def test_image_without_an_object_is_one_clear_sentence(make_image):
    with pytest.raises(UserError) as caught:
        foreground.cut_out(make_image())
    assert caught.value.code == "no_object"
    assert "\n" not in str(caught.value)


# relu_320.onnx and relu_1024.onnx take (1, 3, side, side) and no other size, add the three channels up and cut off what
# is negative. The onnx package made them, which the environment does without:
#     nodes = [helper.make_node("ReduceSum", ["picture", "axes"], ["sum"], keepdims=1),
#              helper.make_node("Relu", ["sum"], ["mask"])]
#     ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, depth, side, side])]
#             for name, depth in (("picture", 3), ("mask", 1))]
#     graph = helper.make_graph(nodes, "relu", *ends, [helper.make_tensor("axes", TensorProto.INT64, [1], [1])])
#     save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), f"relu_{side}.onnx")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MODELS = {
    "birefnet-general": (1024, *IMAGENET),
    "isnet-general-use": (1024, (0.5, 0.5, 0.5), (1, 1, 1)),
    "u2net": (320, *IMAGENET),
    "u2netp": (320, *IMAGENET),
    "silueta": (320, *IMAGENET),
}


def put_model(name, file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((DATA / f"relu_{MODELS[name][0]}.onnx").read_bytes())


def bump(peak):
    """An orange hill on black, brightest in the middle: smooth, so that it can be resized without a trace."""
    row, column = np.mgrid[-1:1:120j, -1:1:160j]
    return (peak * np.exp(-3 * (row**2 + column**2)))[..., None] * np.float32((1, 0.8, 0.5))


@pytest.mark.parametrize("peak", [1, 0.6])
@pytest.mark.parametrize("name", MODELS)
def test_rembg_models_get_their_input_and_give_their_output_as_in_rembg(tmp_path, name, peak):
    put_model(name, tmp_path / f"{name}.onnx")
    _, mean, deviation = MODELS[name]
    output = np.maximum(((bump(peak) / bump(peak).max() - mean) / deviation).sum(-1), 0)
    if name == "birefnet-general":
        output = 1 / (1 + np.exp(-output))
    expected = (output - output.min()) / (output.max() - output.min())
    predictor = rembg.load_predictor()
    assert predictor.name == name
    alpha = predictor.predict(bump(peak)).alpha
    assert alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, expected, atol=0.04)
    assert np.abs(alpha - expected).mean() < 0.003


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("U2NET_HOME", "u2net.onnx"),
        ("U2NET_HOME", "models/u2net/u2net.onnx"),
        ("REMBG_HOME", "models/u2net/u2net.onnx"),
        ("XDG_DATA_HOME", "rembg/models/u2net/u2net.onnx"),
        ("XDG_DATA_HOME", ".u2net/u2net.onnx"),
        ("HOME", ".rembg/models/u2net/u2net.onnx"),
        ("HOME", ".u2net/u2net.onnx"),
    ],
)
def test_rembg_model_is_found_wherever_rembg_stores_it(monkeypatch, tmp_path, variable, path):
    for one in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(one, raising=False)
    for one in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(one, str(tmp_path / "home"))
    for one in ("HOME", "USERPROFILE") if variable == "HOME" else (variable,):
        monkeypatch.setenv(one, str(tmp_path / "here"))
    disc = bump(1)[..., :1] > 0.5  # the stand-in for a model finds what is bright
    image = np.dstack([disc * np.float32((1, 0.8, 0.5)), np.ones((120, 160))]).astype(np.float32)
    assert foreground.cut_out(image).method == "grabcut"
    put_model("u2net", tmp_path / "here" / path)
    cutout = foreground.cut_out(image)
    assert cutout.method == "u2net"
    assert cutout.image[0, 0, 3] == 0 and cutout.image[cutout.image.shape[0] // 2, cutout.image.shape[1] // 2, 3] > 0.98


@pytest.mark.parametrize("first", ["", "set_library_variables(); import onnxruntime; "])
def test_onnxruntime_sends_nothing(first, tmp_path):
    """Whoever imports it first: here, or diffusers for a text prompt."""
    put_model("u2net", tmp_path / "models" / "u2net.onnx")
    (tmp_path / "home").mkdir()
    # A process of its own, since this is decided once; onnxruntime is silent by itself where CI is set.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "ORT_", "XDG_"))}
    environment |= {"HOME": str(tmp_path / "home"), "U2NET_HOME": str(tmp_path / "models")}
    environment |= {"IMAGE_TO_MESH_HOME": str(tmp_path / "data")}
    script = f"from backend.library_variables import *; {first}from backend.preprocessing.rembg import *; "
    script += "print(load_predictor().predict(np.eye(3)[None]).alpha.shape)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(1, 3)\n", "")
    assert not list((tmp_path / "home").rglob("*"))  # it would store an identifier and unsent reports here


def test_alpha_that_is_useful_comes_before_rembgs_model(tmp_path):
    (tmp_path / "u2net.onnx").write_bytes(b"not a model")
    alpha, colors = mug(120, 160, (0.8, 0.2, 0.2))
    assert foreground.cut_out(np.dstack([colors, alpha]).astype(np.float32)).method == "alpha"


@pytest.mark.parametrize("content", [b"", b"not a model", (DATA / "relu_1024.onnx").read_bytes()])
def test_rembg_model_that_is_broken_is_named_and_never_replaced(tmp_path, content):
    (tmp_path / "u2net.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"u2net\.onnx") as caught:
        foreground.cut_out(only_gradient())
    assert caught.value.code == "rembg_failed"
    assert "\n" not in str(caught.value)
    assert (tmp_path / "u2net.onnx").read_bytes() == content


def test_shrink_to_reference_size_leaves_at_most_512_pixels():
    image = np.random.default_rng(0).integers(0, 256, (1024, 300, 4)).astype(np.float32) / 255
    assert canvas.shrink_to_reference_size(image).shape == (512, 150, 4)
    small = image[:500]
    assert np.abs(canvas.shrink_to_reference_size(small) - small).max() < 1e-6

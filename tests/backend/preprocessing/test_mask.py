"""The ways to cut out that a person chooses: a mask, one of the methods; and what is shown of the cutout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.cutout_preview import BACKGROUND, write_cutout
from backend.errors import UserError
from backend.io.image import load_image, load_mask
from backend.preprocessing.canvas import alpha_in_image
from backend.preprocessing.foreground import cut_out
from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def no_model(monkeypatch, tmp_path):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))


def two_discs(height: int = 120, width: int = 200, alpha: bool = False) -> np.ndarray:
    """A red and a green disc on white, opaque or cut out, as (H, W, 4) uint8."""
    rows, columns = np.mgrid[:height, :width]
    image = np.full((height, width, 4), 255, np.uint8)
    for column, color in ((width // 4, (200, 30, 30)), (3 * width // 4, (30, 160, 30))):
        image[(rows - height / 2) ** 2 + (columns - column) ** 2 < (height / 4) ** 2, :3] = color
    image[..., 3] = 255 * (image[..., :3].min(-1) < 255) if alpha else 255
    return image


def left_half(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_mask_of_any_size_takes_the_place_of_all_methods(alpha, scale):
    image = load_image(two_discs(alpha=alpha))
    drawn = Image.fromarray(left_half(int(120 * scale), int(200 * scale)))
    cutout = cut_out(image, "grabcut", load_mask(drawn))
    assert cutout.method == "mask" and cutout.quality is not None and cutout.quality.share == pytest.approx(0.5, 0.02)
    np.testing.assert_allclose(alpha_in_image(cutout, 120, 200) > 0.5, left_half(120, 200) > 127)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "transparent"])
def test_mask_is_white_or_opaque_where_the_object_is(mode):
    drawn = Image.fromarray(left_half(40, 60))
    if mode == "transparent":
        colored = Image.new("RGBA", drawn.size, (0, 0, 80))
        colored.putalpha(drawn)
        drawn = colored
    mask = load_mask(drawn if mode == "transparent" else drawn.convert(mode))
    np.testing.assert_array_equal(mask, left_half(40, 60) / np.float32(255))


@pytest.mark.parametrize(
    ("mask", "words"), [(np.zeros((120, 200)), "paint the object white"), (np.ones((100, 100)), "proportions")]
)
def test_useless_mask_is_refused_in_one_sentence(mask, words):
    with pytest.raises(UserError, match=words):
        cut_out(load_image(two_discs()), mask=mask.astype(np.float32))


def test_method_is_chosen():
    cutout = cut_out(load_image(two_discs(alpha=True)), "grabcut")
    assert cutout.method == "grabcut" and cutout.quality is not None
    assert cutout.quality.share == pytest.approx(np.pi / 16 * 120 / 200, rel=0.1)  # one of the discs
    assert cut_out(load_image(two_discs(alpha=True)), "alpha").method == "alpha"
    with pytest.raises(UserError, match="no transparency"):
        cut_out(load_image(two_discs()), "alpha")
    with pytest.raises(UserError, match="not installed"):
        cut_out(load_image(two_discs()), "model")


@pytest.mark.parametrize("side", [(120, 200), (3000, 2000)])
def test_cutout_is_shown_in_the_whole_image(tmp_path, side):
    path = tmp_path / "discs.png"
    Image.fromarray(two_discs(*side)).save(path)
    shown = write_cutout(path, tmp_path / "job", "grabcut")
    assert shown["found"] and shown["method"] == "grabcut"
    painting = Image.open(shown["painting"])
    assert max(painting.size) <= 1024 and painting.width * side[0] == pytest.approx(painting.height * side[1], rel=0.01)
    alpha, color = np.asarray(painting)[..., 3], np.asarray(painting)[..., :3]
    assert alpha.min() == BACKGROUND and alpha.max() == 255 and color[0, 0].tolist() == [255, 255, 255]
    height, width = alpha.shape
    assert 255 in alpha[height // 2, [width // 4, 3 * width // 4]]  # GrabCut takes one of the two
    assert max(Image.open(shown["preview"]).size) <= 256
    assert sorted(file.name for file in (tmp_path / "job").iterdir()) == ["cutout-grabcut.png", "cutout.png"]


def test_image_without_an_object_is_shown_to_be_painted_on(tmp_path):
    path = tmp_path / "discs.png"
    Image.fromarray(two_discs()).save(path)
    shown = write_cutout(path, tmp_path / "job", "alpha")
    assert not shown["found"] and "no transparency" in shown["warnings"][0]
    assert (np.asarray(Image.open(shown["painting"]))[..., 3] == BACKGROUND).all()
    with pytest.raises(UserError, match="no file"):
        write_cutout(Path("nowhere.png"), tmp_path / "other", "auto")
    assert not (tmp_path / "other").exists()


def test_cutout_needs_no_torch():
    """It would take seconds to import."""
    code = "import sys, backend.cutout_preview; assert not {'torch', 'diffusers'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0

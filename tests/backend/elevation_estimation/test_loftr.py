"""LoFTR through kornia: its weight file, what is matched, and the pipeline's choice of it. The weights are random."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from kornia.feature.loftr import LoFTR
from PIL import Image

from backend.elevation_estimation import loftr
from backend.elevation_estimation.matches import VIEW_PAIRS
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ignore_progress
from tests.helpers.images import shaded_disc
from tests.helpers.paths import TEST_DATA

DATA = TEST_DATA / "zero123"


@pytest.fixture(scope="module")
def loftr_weights(tmp_path_factory) -> Path:
    """A file in the public one's layout. Its last layer is loud, so that the network is sure of something."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tensors = LoFTR(None).state_dict()
    public = json.loads((DATA / "loftr_keys.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == public
    tensors["loftr_coarse.layers.7.norm2.weight"] *= 10
    path = tmp_path_factory.mktemp("loftr") / "loftr_indoor_ds_new.ckpt"
    torch.save({"state_dict": tensors}, path)
    return path


@pytest.fixture
def small(monkeypatch) -> int:
    """A side that takes seconds: the full one takes a minute on a CPU."""
    monkeypatch.setattr(loftr, "MATCHING_WIDTH", 96)
    return 96


@pytest.fixture
def images() -> np.ndarray:
    """A noisy band across white, with different noise in every image."""
    images = np.random.default_rng(0).random((4, 128, 128, 3), np.float32)
    rows, columns = np.mgrid[:128, :128]
    images[:, np.abs(rows - columns) > 40] = 1
    return images


def test_matches_are_kornias_in_the_originals_pixels(loftr_weights, images, small):
    network = loftr.load_network(loftr_weights)
    assert network.config["coarse"]["temp_bug_fix"] is True and not network.training
    matches = loftr.match_images(network, images)
    assert set(matches) == set(VIEW_PAIRS)
    grays = [loftr._to_gray(np.floor(image * 255 + 1e-3).astype(np.uint8)) for image in images]
    count = 0
    for first, second in VIEW_PAIRS:
        with torch.inference_mode():
            answer = network({"image0": grays[first], "image1": grays[second]})
        rows = torch.cat(
            [answer["keypoints0"] * 256 / 96, answer["keypoints1"] * 256 / 96, answer["confidence"][:, None]], 1
        ).numpy()
        inside = [
            (images[image, int(y / 2), int(x / 2)] * 255 <= 245).any()
            for image, corner in ((first, 0), (second, 2))
            for x, y in rows[:, corner : corner + 2]
        ]
        expected = rows[np.logical_and(*np.reshape(inside, (2, -1)))]
        assert matches[first, second] == pytest.approx(expected, abs=1e-2)
        assert len(expected) < len(rows) or not len(rows)
        count += len(expected)
    assert count > 10
    slipped = loftr.match_images(network, images, reference_mode=True)
    assert any(len(slipped[pair]) != len(matches[pair]) for pair in VIEW_PAIRS)


def test_pipeline_uses_loftr_where_it_is_installed(loftr_weights, weights, small, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    assert loftr.find_weights() is None
    folder = tmp_path / "home" / "weights" / "loftr"
    folder.mkdir(parents=True)
    (folder / "loftr_indoor_ds_new.ckpt").write_bytes(loftr_weights.read_bytes())
    assert loftr.find_weights() == folder / "loftr_indoor_ds_new.ckpt"
    Image.fromarray(shaded_disc(64, 64)).save(tmp_path / "p.png")
    options = Options(weights=str(weights), quality="fast", faces=500, texture_size=256, device="cpu")
    asked = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: asked.append(1) if type(module).__name__ == "LoFTR" else None
    )
    try:
        report = Pipeline().generate(tmp_path / "p.png", tmp_path / "job", options, ignore_progress)["report"]
    finally:
        hook.remove()
    assert len(asked) == len(VIEW_PAIRS)
    assert report["matcher"] == ("LoFTR" if report["elevation"]["source"] == "matched" else None)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _drop_one(path: Path) -> None:
    tensors = torch.load(path, weights_only=True)["state_dict"]
    del tensors["backbone.conv1.weight"]
    torch.save({"state_dict": tensors}, path)


def _swap(path: Path) -> None:
    torch.save({"state_dict": {"something.else": torch.zeros(3)}, "epoch": 3}, path)


@pytest.mark.parametrize("damage", [_cut, _drop_one, _swap, Path.unlink])
def test_file_without_loftr_weights_is_one_clear_sentence(loftr_weights, tmp_path, damage):
    path = tmp_path / "loftr.ckpt"
    path.write_bytes(loftr_weights.read_bytes())
    damage(path)
    with pytest.raises(UserError) as caught:
        loftr.load_network(path)
    assert caught.value.code.startswith("weights_") and str(path) in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")

"""The view model of the training, and the files that training writes and ships."""

from __future__ import annotations

import sys

import pytest
import torch

from backend import camera
from backend.views.zero123.model import Zero123
from training import ship, surface_model, view_model


@pytest.fixture(scope="module")
def starter():
    torch.manual_seed(0)
    return view_model.build()


def test_an_untrained_view_model_survives_its_folder(starter, tmp_path):
    torch.set_num_threads(1)
    view_model.save(starter, tmp_path, quantize=False)
    again = Zero123.load(tmp_path)
    kept = again.state_dict()
    assert set(kept) == set(starter.state_dict())
    for name, tensor in starter.state_dict().items():
        if ".attn2.to_q." in name or ".attn2.to_k." in name:  # change nothing
            tensor = torch.zeros_like(tensor)
        torch.testing.assert_close(kept[name], tensor, atol=1e-6, rtol=1e-3)
    assert again.schedule["prediction_type"] == "v_prediction"
    assert again.image_size == view_model.SIZE
    torch.manual_seed(1)
    picture, noisy = torch.rand(1, 3, 128, 128) * 2 - 1, torch.randn(1, 4, 32, 32)
    pose = torch.from_numpy(camera.relative_pose(30.0, 90.0))[None]
    answers = []
    for model in (starter.eval().requires_grad_(False), again):
        condition, embedding = model.encode_condition(picture)
        predicted = model.denoise(noisy, torch.tensor([500]), condition, model.tokens(embedding, pose))
        answers.append((predicted, model.decode(noisy), *model.elevation(embedding)))
    for mine, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(theirs, mine, atol=5e-3 * mine.abs().max().item(), rtol=0)


@pytest.fixture
def shop(starter, tmp_path, monkeypatch):
    """Folders as the two trainings leave them, and an empty place to ship to."""
    torch.manual_seed(0)
    view_model.save(starter, tmp_path / "views", quantize=False)
    (tmp_path / "surface").mkdir()
    network = surface_model.SurfaceNetwork(**surface_model.CONFIG)
    surface_model.save(network, tmp_path / "surface", quantize=False)
    (tmp_path / "starter").mkdir()
    monkeypatch.setattr(ship, "STARTER_WEIGHTS", tmp_path / "starter")
    monkeypatch.setattr(
        sys, "argv", ["ship", "--views", str(tmp_path / "views"), "--surface", str(tmp_path / "surface")]
    )
    return tmp_path


def test_what_is_shipped_loads_and_is_small_enough(shop, capsys):
    ship.main()
    size = sum(path.stat().st_size for path in (shop / "starter").rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT == 26 * 2**20
    assert f"{size / 2**20:.2f} MiB" in capsys.readouterr().out
    first = Zero123.load(shop / "starter" / "view").unet.conv_in.weight
    wanted = Zero123.load(shop / "views").unet.conv_in.weight
    torch.testing.assert_close(first, wanted, atol=wanted.abs().max().item() / 200, rtol=0)


def test_too_much_to_ship_is_refused(shop):
    (shop / "starter" / "forgotten.safetensors").write_bytes(bytes(ship.LIMIT))
    with pytest.raises(SystemExit, match="nothing was shipped"):
        ship.main()
    assert [path.name for path in (shop / "starter").iterdir()] == ["forgotten.safetensors"]


def test_the_weights_in_the_tree_fit_the_limit():
    size = sum(path.stat().st_size for path in ship.STARTER_WEIGHTS.rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT

"""The view model of the training, and the files that training writes and ships."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import torch

from backend import camera
from backend.views.joint import JointViewModel
from backend.views.loading import load_view_model
from backend.views.zero123.model import Zero123
from tests.helpers.training_runs import CONFIG, short_surface_run
from training import ship, surface_model, view_model
from training.checkpoint import save_checkpoint
from training.config import JointViewsConfig, load_config
from training.joint_diffusion import JointDenoiser
from training.joint_model import initial_model
from training.joint_views import trained_tensors
from training.vae_model import save_vae, with_mask


@pytest.fixture(scope="module")
def starter():
    torch.manual_seed(0)
    return view_model.build()


def test_an_untrained_view_model_survives_its_folder(starter, tmp_path):
    torch.set_num_threads(1)
    view_model.save(starter, tmp_path, "rings and above", quantize=False)
    assert isinstance(load_view_model(tmp_path, torch.device("cpu"), torch.float32), JointViewModel)
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
    """What the three trainings leave, and an empty folder to ship to."""
    config = load_config(JointViewsConfig, CONFIG, ['initial_weights="untrained"'])
    torch.manual_seed(1)
    denoiser = JointDenoiser(initial_model(config))
    save_checkpoint(tmp_path / "views", 1, config, trained_tensors(denoiser))
    save_vae(with_mask(starter.vae), tmp_path / "vae")
    (tmp_path / "surface").mkdir()
    network = surface_model.SurfaceNetwork(**surface_model.CONFIG)
    surface_model.save(network, tmp_path / "surface", quantize=False)
    (tmp_path / "starter").mkdir()
    monkeypatch.setattr(ship, "STARTER_WEIGHTS", tmp_path / "starter")
    view_model.save(starter, tmp_path / "starter" / "view", "rings and above", quantize=True)
    arguments = [f"--{part}={tmp_path / part}" for part in ("views", "vae", "surface")]
    monkeypatch.setattr(sys, "argv", ["ship", *arguments])
    return tmp_path, denoiser


def test_what_is_shipped_loads_and_is_small_enough(shop, capsys):
    folder, denoiser = shop
    ship.main()
    size = sum(path.stat().st_size for path in (folder / "starter").rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT == 26 * 2**20
    assert f"{size / 2**20:.2f} MiB" in capsys.readouterr().out
    shipped, wanted = Zero123.load(folder / "starter" / "view"), denoiser.unet.conv_in.weight
    torch.testing.assert_close(shipped.unet.conv_in.weight, wanted, atol=wanted.abs().max().item() / 200, rtol=0)
    assert shipped.vae.config["out_channels"] == 4


def test_too_much_to_ship_is_refused(shop):
    folder, _ = shop
    (folder / "starter" / "forgotten.safetensors").write_bytes(bytes(ship.LIMIT))
    before = {path: path.read_bytes() for path in (folder / "starter").rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="nothing was shipped"):
        ship.main()
    assert {path: path.read_bytes() for path in (folder / "starter").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("plan", camera.JOINT_PLANS)
def test_views_keep_their_plan_and_a_surface_network_is_shipped_beside_its_own(shop, monkeypatch, plan):
    folder, denoiser = shop
    (other,) = set(camera.JOINT_PLANS) - {plan}
    view_json = folder / "starter" / "view" / "view.json"
    config = load_config(JointViewsConfig, CONFIG, ['initial_weights="untrained"', f'view_plan="{plan}"'])
    save_checkpoint(folder / "views", 1, config, trained_tensors(denoiser))
    network = surface_model.SurfaceNetwork(**surface_model.CONFIG)
    surface = dataclasses.replace(short_surface_run(), view_plan=plan)
    save_checkpoint(folder / "surface-run", 1, surface, network.state_dict())
    names = {part: f"--{part}={folder / name}" for part, name in (("views", "views"), ("surface", "surface-run"))}

    def run(*parts: str) -> str:
        """The plan of the shipped views after shipping these parts."""
        monkeypatch.setattr(sys, "argv", ["ship", *(names[part] for part in parts)])
        ship.main()
        return json.loads(view_json.read_text())["view_plan"]

    settings = json.loads(view_json.read_text()) | {"view_plan": other}
    view_json.write_text(json.dumps(settings))
    with pytest.raises(SystemExit, match=f"for the plan “{plan}”, the views for “{other}”.*nothing was shipped"):
        run("surface")
    assert not (folder / "starter" / "surface").exists()
    assert run("views", "surface") == plan
    assert (folder / "starter" / "surface" / "model.safetensors").exists()
    assert run("surface") == plan


def test_a_new_vae_leaves_the_plan_as_it_is(shop, monkeypatch):
    folder, _ = shop
    monkeypatch.setattr(sys, "argv", ["ship", f"--vae={folder / 'vae'}"])
    before = (folder / "starter" / "view" / "view.json").read_bytes()
    ship.main()
    assert (folder / "starter" / "view" / "view.json").read_bytes() == before


def test_the_weights_in_the_tree_fit_the_limit():
    size = sum(path.stat().st_size for path in ship.STARTER_WEIGHTS.rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT

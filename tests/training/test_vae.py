"""The VAE learns masks beside colors, with or without its encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.training_runs import joint_model, log_rows
from training.config import VaeConfig, load_config
from training.distributed import process_group
from training.run_log import RunLog
from training.vae import train
from training.vae_model import load_vae, save_vae, scale_latents, with_mask

CONFIGS = Path(__file__).parents[2] / "training" / "config"
SHORT = ["steps=60", "warmup_steps=5", "images_per_step=8", "learning_rate=5e-3", "buffer_scenes=4", "scene_reuse=1e3"]


def squares() -> torch.Tensor:
    """Two scenes of nine views (2, 9, 16, 16, 4) of gray squares on white."""
    views = torch.full((2, 9, 16, 16, 4), 255, dtype=torch.uint8)
    views[..., 3] = 0
    for view in range(9):
        side = 4 + view
        views[:, view, 2 : 2 + side, 2 : 2 + side] = torch.tensor([90, 90, 90, 255], dtype=torch.uint8)
    return views


def test_a_fourth_channel_changes_no_color():
    vae = joint_model().vae
    wider, latents = with_mask(vae), torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        before, after = (v.decode(latents, return_dict=False)[0] for v in (vae, wider))
    torch.testing.assert_close(after[:, :3], before)
    assert after.shape[1] == 4 and not after[:, 3].any()
    assert with_mask(wider) is wider


@pytest.mark.parametrize("name", ["vae", "decoder"])
def test_a_short_run_learns_masks(tmp_path, name):
    torch.manual_seed(0)
    config = load_config(VaeConfig, CONFIGS / f"{name}.toml", SHORT)
    vae = with_mask(joint_model().vae)
    first = {key: tensor.clone() for key, tensor in vae.state_dict().items()}
    train(vae, config, squares, RunLog(tmp_path, True), process_group())
    rows = log_rows(tmp_path)
    assert rows[-1]["step"] == 60 and rows[-1]["wrong_mask"] < 0.25
    changed = {key.split(".")[0] for key, tensor in vae.state_dict().items() if not torch.equal(first[key], tensor)}
    assert {"decoder", "post_quant_conv"} <= changed
    assert ("encoder" in changed) == (name == "vae")
    save_vae(vae, tmp_path)
    again = load_vae(tmp_path)
    for key, tensor in vae.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], tensor, atol=1e-3, rtol=1e-3)


def test_scaled_latents_decode_to_the_same_images():
    vae, images = joint_model().vae, torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        latents = vae.encode(images).latent_dist.mode()
        before = vae.decode(latents, return_dict=False)[0]
        scale_latents(vae, torch.tensor(2.5))
        scaled = vae.encode(images).latent_dist.mode()
        torch.testing.assert_close(scaled * 2.5, latents, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(vae.decode(scaled, return_dict=False)[0], before, atol=1e-5, rtol=1e-4)

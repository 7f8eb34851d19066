"""The network for elevations learns from real renderings (Triton's interpreter), stopped and resumed."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.training_runs import cube, log_rows
from training.checkpoint import has_checkpoint, load_checkpoint
from training.config import ElevationConfig, load_config
from training.distributed import process_group
from training.elevation import train
from training.elevation_network import ElevationNetwork, laplace_loss
from training.elevation_scenes import ElevationScenes
from training.evaluate_elevation import scores
from training.object_library import ObjectLibrary
from training.run_log import RunLog

CONFIG = Path(__file__).parents[2] / "training" / "config" / "elevation.toml"
SHORT = [
    "scenes_per_step=2",
    "scenes_per_chunk=2",
    "initial_scenes=2",
    "buffer_scenes=2",
    "scene_reuse=100.0",
    "steps=6",
    "warmup_steps=2",
    "object_share=1.0",
    "views_per_scene=2",
    "joined_share=0.0",
]
SMALL = {"hidden_sizes": [8, 8, 8, 8], "depths": [1, 1, 1, 1], "image_size": 32}


@pytest.fixture
def config() -> ElevationConfig:
    return load_config(ElevationConfig, CONFIG, SHORT)


def make_scenes(config: ElevationConfig, step: int = 0) -> ElevationScenes:
    device = process_group().device
    return ElevationScenes(config, ObjectLibrary([cube(1)], np.ones(1), device), 32, step, 0, 1, device)


def test_inputs_fill_their_frame_at_elevations_of_inputs(config):
    config = dataclasses.replace(config, degraded_share=0.0, tone_share=0.0)
    chunk = make_scenes(config).next_chunk()
    assert chunk["picture"].shape == (2, 2, 32, 32, 3) and chunk["elevation"].shape == (2, 2)
    assert ((chunk["elevation"] >= -8) & (chunk["elevation"] <= 45)).all()
    covered = (chunk["picture"] < 250).any(-1)
    for picture in covered.flatten(0, 1):
        rows, columns = (picture.any(axis).nonzero().flatten() for axis in (1, 0))
        longer = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
        assert 21 <= longer <= 27  # 0.75 of 32, give or take a pixel at each end


def test_a_run_is_stopped_resumed_and_learns(tmp_path, config, monkeypatch):
    monkeypatch.setattr("training.run_clock.CHECK_CLOCK_EVERY", 2)
    monkeypatch.setattr("training.elevation.LOG_EVERY", 2)
    torch.manual_seed(0)
    group, first = process_group(), ElevationNetwork(**SMALL).state_dict()

    def run(deadline: float) -> None:
        network = ElevationNetwork(**SMALL)
        network.load_state_dict(first)
        checkpoint = load_checkpoint(tmp_path) if has_checkpoint(tmp_path) else None
        scenes = make_scenes(config, checkpoint.step if checkpoint else 0)
        log = RunLog(tmp_path, True)
        train(network, config, checkpoint, scenes, group, log, tmp_path, deadline)

    run(time.monotonic())  # already over: stops when the clock is first read
    assert load_checkpoint(tmp_path).step == 2
    run(float("inf"))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.step == config.steps and checkpoint.config == config
    rows = log_rows(tmp_path)
    assert [row["resumed"] for row in rows if row.get("event") == "start"] == ["no", "optimizer"]
    assert all(np.isfinite(row["elevation_error"]) for row in rows if "loss" in row)
    assert not torch.equal(checkpoint.averaged["head.weight"], first["head.weight"])


def test_the_loss_is_least_at_the_median_and_its_mean_error():
    truth = torch.tensor([0.0, 3.0, 30.0])  # median 3, mean absolute deviation from it 10 degrees

    def loss(center: float, error: float) -> float:
        predicted = torch.tensor([[center / 30, np.log(error / 30)]]).float().expand(3, 2)
        return laplace_loss(predicted, truth).mean().item()

    best = loss(3.0, 10.0)
    for center, error in ((1.0, 10.0), (11.0, 10.0), (3.0, 7.0), (3.0, 14.0)):
        assert loss(center, error) > best


def test_scores_are_errors_of_predictions_for_both_mirror_images():
    pictures = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)
    pictures[:, :, :2] = 255  # bright on the left, in the mirror image on the right

    def predict(images: torch.Tensor) -> torch.Tensor:
        return torch.where(images[:, 0, 0, 0] > 0, 10.0, 20.0)

    found = scores(predict, pictures, torch.tensor([15.0, 18.0, 25.0]))
    assert found == pytest.approx({"median": 3.0, "mean": 13 / 3, "within_5": 2 / 3})

"""Where a surface network's weights come from, and its scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from backend.surface.network import SurfaceNetwork
from tests.helpers import tiny
from tests.helpers.training_runs import short_surface_run
from training import field_metrics, surface_model
from training.checkpoint import save_checkpoint
from training.field_metrics import sample_field, score_field
from training.model_config import interpolate
from training.surface_model import CONFIG, load_network


@pytest.mark.parametrize("kind", ["checkpoint", "folder", "starter"])
def test_a_network_is_loaded_from(kind, tmp_path):
    torch.manual_seed(0)
    config = dataclasses.replace(short_surface_run(), resolution=80)
    network = SurfaceNetwork(**CONFIG | {"resolution": config.resolution})
    if kind == "checkpoint":
        save_checkpoint(tmp_path, 3, config, network.state_dict())
    elif kind == "folder":
        surface_model.save(network, tmp_path, quantize=False)
    loaded = load_network("starter" if kind == "starter" else tmp_path)
    assert not loaded.training and loaded.image_size == CONFIG["image_size"]
    if kind != "starter":
        assert loaded.resolution == config.resolution != CONFIG["resolution"]
        for name, tensor in loaded.state_dict().items():
            torch.testing.assert_close(tensor, network.state_dict()[name], atol=1e-4, rtol=1e-3)


def _grid(half_side: float) -> np.ndarray:
    return field_metrics.grid_points(half_side, "cpu")[0].numpy()


def _ball(points: np.ndarray, radius: float = 0.4) -> np.ndarray:
    return np.linalg.norm(points, axis=-1) - radius


def _torus(points: np.ndarray) -> np.ndarray:
    return np.hypot(np.hypot(points[:, 0], points[:, 1]) - 0.35, points[:, 2]) - 0.12


def _two_tori(points: np.ndarray) -> np.ndarray:
    small = 2 * points + (0, 0.5, 0), 2 * points - (0, 0.5, 0)
    return np.minimum(*(_torus(each.astype(np.float32)) / 2 for each in small))


@pytest.mark.parametrize(("shape", "genus"), [(_ball, 0), (_torus, 1), (_two_tori, 2)])
def test_a_fields_surface_has_its_genus_and_scores_full_marks_against_itself(shape, genus):
    field = shape(_grid(0.6))
    truth = sample_field(field, 0.6)
    assert truth is not None and truth.genus == genus
    scores = score_field(field, 0.6, truth)
    assert scores["f05"] == scores["f02"] == scores["genus_within_1"] == 1
    assert scores["normal_consistency"] > 0.97


def test_a_worse_field_scores_less_and_none_at_all_scores_nothing():
    points = _grid(0.6)
    truth = sample_field(_ball(points), 0.6)
    assert truth is not None
    smaller = score_field(_ball(points, 0.37), 0.6, truth)
    assert smaller["f05"] == 1 and smaller["f02"] == 0
    rough = score_field(_ball(points) + 0.01 * np.sin(80 * points).prod(-1), 0.6, truth)
    assert rough["normal_consistency"] < smaller["normal_consistency"] - 0.05
    nothing = score_field(np.ones(len(points), np.float32), 0.6, truth)
    assert not any(nothing.values()) and nothing.keys() == smaller.keys()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_interpolated_weights_lie_between(share):
    torch.manual_seed(0)
    origin, network = SurfaceNetwork(**tiny.SURFACE), SurfaceNetwork(**tiny.SURFACE)
    wanted = [torch.lerp(a, b, share) for a, b in zip(origin.parameters(), network.parameters(), strict=True)]
    interpolate(network, origin, share)
    for weight, expected in zip(network.parameters(), wanted, strict=True):
        torch.testing.assert_close(weight, expected)

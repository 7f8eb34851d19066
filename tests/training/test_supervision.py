"""Points of supervision, and what the loss makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from procedural import triton_renderer
from procedural.families.materials import solid
from procedural.families.primitives import ellipsoid, to_rows
from procedural.schema import IDENTITY_TRANSFORM, Operation
from procedural.triton_depth import BEYOND
from tests.helpers.training_runs import short_surface_run
from training import supervision, surface_loss
from training.surface_loss import SLOPE_DISTANCE

NEAR, FREE = 1536, 512
ON_SURFACE = slice(0, NEAR // 3)


@pytest.fixture
def hollow_ball(monkeypatch) -> dict[str, torch.Tensor]:
    """Its inside has a fifth of the area, and far less of the space around it."""
    gray = solid((0.5, 0.5, 0.5))
    rows = to_rows([ellipsoid((0, 0, 0), 0.4, gray), ellipsoid((0, 0, 0), 0.2, gray, op=Operation.SUBTRACT)])
    scene = triton_renderer.from_numpy([(rows, np.float32(IDENTITY_TRANSFORM), np.float32([0, 0, 1, 0.5]))], "cpu")
    monkeypatch.setattr(supervision, "NEAR_POINTS", NEAR)
    monkeypatch.setattr(supervision, "FREE_POINTS", FREE)
    monkeypatch.setattr(triton_renderer, "BLOCK", 4096)  # the interpreter takes as long for more at once
    torch.manual_seed(0)
    return supervision.procedural_supervision(scene, 0.6)


def ball_distance(points: torch.Tensor) -> torch.Tensor:
    radius = points.norm(dim=-1)
    return torch.maximum(radius - 0.4, 0.2 - radius)


def test_points_of_supervision_lie_evenly_over_the_surface_inside_and_outside(hollow_ball):
    assert hollow_ball["near_distance"][:, ON_SURFACE].abs().max() < 1e-3
    radius = hollow_ball["near"][:, ON_SURFACE].norm(dim=-1)
    assert 0.16 < (radius < 0.3).float().mean() < 0.24
    assert hollow_ball["color"].shape == (1, NEAR // 3, 3)


def test_distances_are_those_of_the_points(hollow_ball):
    for name, count in (("near", NEAR), ("partner", NEAR), ("free", FREE)):
        assert hollow_ball[name].shape == (1, count, 3)
        expected = ball_distance(hollow_ball[name])
        torch.testing.assert_close(hollow_ball[f"{name}_distance"], expected, atol=1e-4, rtol=0)
    step = (hollow_ball["partner"] - hollow_ball["near"]).norm(dim=-1)
    assert step.min() > 0.0099 and step.max() < 0.0201


class Guess(torch.nn.Module):
    """Answers with the ball's distances, changed by ``change``, where cameras and points are exact."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, images, cameras, points):
        depth = torch.full((*images.shape[:2], 4, 4, 4), BEYOND)
        return self.change(ball_distance(points)), torch.full_like(points, 0.5), depth


def errors_of(scene: dict[str, torch.Tensor], change) -> tuple[torch.Tensor, surface_loss.SurfaceErrors]:
    batch = scene | {
        "images": torch.zeros(1, 2, 4, 4, 4, dtype=torch.uint8),
        "cameras": torch.eye(4).expand(1, 2, 4, 4),
        "depths": torch.full((1, 2, 4, 4, 2), BEYOND),
    }
    config = dataclasses.replace(short_surface_run(), elevation_noise_deg=0.0)
    return surface_loss.surface_loss(Guess(change), batch, config, torch.float32)


@pytest.mark.parametrize(
    ("change", "near", "slope"),
    [
        (lambda d: d, 0.0, 0.0),
        (lambda d: d + 0.02, 0.02, 0.0),  # a thicker wall, as smooth
        (lambda d: 2 * d, None, 0.5),  # the slope along a random direction is half of the gradient, on average
        (lambda d: d + 0.003 * torch.randn_like(d), None, 0.2),  # a little rough
    ],
)
def test_the_slopes_error_sees_roughness_and_not_thickness(hollow_ball, change, near, slope):
    _, errors = errors_of(hollow_ball, change)
    if near is not None:
        assert errors.near.item() == pytest.approx(near, abs=2e-3)
    assert errors.slope.item() == pytest.approx(slope, abs=0.06)


def test_only_points_near_the_surface_have_slopes(hollow_ball):
    _, errors = errors_of(hollow_ball, lambda d: torch.where(d.abs() < SLOPE_DISTANCE + 0.021, d, 9 * d))
    assert errors.slope.item() < 0.01 < errors.near.item() or errors.near.item() < 0.05


def test_the_loss_is_least_where_all_is_exact(hollow_ball):
    exact = errors_of(hollow_ball, lambda d: d)[0]
    for change in (lambda d: d + 0.01, lambda d: d - 0.01, lambda d: -d, lambda d: d + 0.005 * torch.randn_like(d)):
        assert errors_of(hollow_ball, change)[0] > exact

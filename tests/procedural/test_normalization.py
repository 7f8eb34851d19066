"""Where procedural scenes are put for their camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend import camera
from procedural.normalization import FILL, LARGEST_COORDINATE, bounding_radius, place
from procedural.sampling import FAMILIES, sample
from procedural.scene import BOX, ELLIPSOID, object_distance


def placed(rows, yaw, elevation):
    table = torch.from_numpy(rows)
    return place(
        lambda points: object_distance(table, points[0])[0][None],
        torch.tensor([bounding_radius(rows)]),
        torch.tensor([yaw]),
        torch.tensor([elevation]),
    )


@pytest.mark.parametrize(("family", "yaw", "elevation"), [("chair", 0.6, 40.0), ("car", -2.0, -5.0), ("tree", 3.0, 20)])
def test_a_scene_is_placed_as_a_cutout_of_it_would_be(family, yaw, elevation):
    torch.set_num_threads(1)
    rows = sample(family, 7)
    placement, good = placed(rows, yaw, float(elevation))
    assert good.tolist() == [True]
    scale, *offset, cos, sin = placement[0].tolist()
    assert (cos, sin) == pytest.approx((np.cos(yaw), np.sin(yaw)), abs=1e-5)
    steps = np.linspace(-0.6, 0.6, 97, dtype=np.float32)
    world = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    moved = (world - np.float32(offset)) / scale
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    distance = scale * object_distance(torch.from_numpy(rows), torch.from_numpy(moved @ turn))[0].numpy()
    inside = world[distance < 0.003]
    assert np.abs(inside).max() < LARGEST_COORDINATE + 0.02
    pose = camera.camera_to_world(90 - elevation, 0.0)
    pixels, _ = camera.project(inside, pose, 1)
    low, high = pixels.min(0), pixels.max(0)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=0.02)
    side = (high - low).max()
    assert side == pytest.approx(FILL, abs=0.03) or (side < FILL and np.abs(inside).max() > LARGEST_COORDINATE - 0.02)


def test_a_scene_that_was_cut_away_is_told():
    rows = np.zeros((2, 32), np.float32)
    rows[:, 9:18] = np.eye(3).ravel()
    rows[0, :4] = ELLIPSOID, 0.3, 0.3, 0.3
    rows[1, :4] = BOX, 1, 1, 1
    rows[1, 18] = 1
    placement, good = placed(rows, 0.0, 10.0)
    assert good.tolist() == [False]
    assert torch.isfinite(placement).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bounding_radius_bounds(family):
    torch.set_num_threads(1)
    for seed in range(3):
        rows = sample(family, seed)
        radius = bounding_radius(rows)
        ahead = torch.randn(4000, 3, generator=torch.Generator().manual_seed(seed))
        outside = torch.nn.functional.normalize(ahead, dim=-1) * radius * 1.001
        assert (object_distance(torch.from_numpy(rows), outside)[0] > 0).all()

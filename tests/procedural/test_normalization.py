"""How procedural scenes are scaled and centered for their input camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend import camera
from procedural.families.materials import solid
from procedural.families.primitives import box, ellipsoid, to_rows
from procedural.normalization import FRAME_FILL, MAX_COORDINATE, bounding_radius, normalize_scene
from procedural.sampling import FAMILIES, sample
from procedural.schema import Operation
from procedural.sdf import object_distance


def normalized(rows, yaw, elevation):
    table = torch.from_numpy(rows)
    return normalize_scene(
        lambda points: object_distance(table, points[0])[0][None],
        torch.tensor([bounding_radius(rows)]),
        torch.tensor([yaw]),
        torch.tensor([elevation]),
    )


@pytest.mark.parametrize(("family", "yaw", "elevation"), [("chair", 0.6, 40.0), ("car", -2.0, -5.0), ("tree", 3.0, 20)])
def test_scene_is_framed_as_its_cutout_would_be(family, yaw, elevation):
    torch.set_num_threads(1)
    rows = sample(family, 7)
    object_to_world, valid = normalized(rows, yaw, float(elevation))
    assert valid.tolist() == [True]
    scale, *translation, cos, sin = object_to_world[0].tolist()
    assert (cos, sin) == pytest.approx((np.cos(yaw), np.sin(yaw)), abs=1e-5)
    steps = np.linspace(-0.6, 0.6, 97, dtype=np.float32)
    world = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    shifted = (world - np.float32(translation)) / scale
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    distance = scale * object_distance(torch.from_numpy(rows), torch.from_numpy(shifted @ rotation))[0].numpy()
    inside = world[distance < 0.003]
    assert np.abs(inside).max() < MAX_COORDINATE + 0.02
    pose = camera.camera_to_world(90 - elevation, 0.0)
    pixels, _ = camera.project(inside, pose, 1)
    low, high = pixels.min(0), pixels.max(0)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=0.02)
    side = (high - low).max()
    assert side == pytest.approx(FRAME_FILL, abs=0.03) or (
        side < FRAME_FILL and np.abs(inside).max() > MAX_COORDINATE - 0.02
    )


def test_empty_scene_is_reported():
    gray = solid((0.5, 0.5, 0.5))
    rows = to_rows([ellipsoid((0, 0, 0), 0.3, gray), box((0, 0, 0), (1, 1, 1), gray, op=Operation.SUBTRACT)])
    object_to_world, valid = normalized(rows, 0.0, 10.0)
    assert valid.tolist() == [False]
    assert torch.isfinite(object_to_world).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_bounding_radius_bounds(family):
    torch.set_num_threads(1)
    for seed in range(3):
        rows = sample(family, seed)
        radius = bounding_radius(rows)
        ahead = torch.randn(4000, 3, generator=torch.Generator().manual_seed(seed))
        outside = torch.nn.functional.normalize(ahead, dim=-1) * radius * 1.001
        assert (object_distance(torch.from_numpy(rows), outside)[0] > 0).all()

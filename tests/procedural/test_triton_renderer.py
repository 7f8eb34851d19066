"""The Triton renderer against the plain PyTorch scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.ground_truth import Truth
from procedural.scene import Scene, load_held_out
from procedural.triton_renderer import from_numpy


@pytest.fixture
def one_of_each():
    """Rows of every kind of primitive, pattern and operation, and their placement."""
    rows = np.zeros((18, 32), np.float32)
    random = np.random.default_rng(0)
    for number, row in enumerate(rows):
        row[:6] = number % 6, *random.uniform(0.1, 0.3, 3), 0.02, 0.1
        row[6:9] = random.uniform(-0.4, 0.4, 3)
        row[9:18] = np.linalg.qr(random.normal(size=(3, 3)))[0].ravel()
        row[18:20] = (0, 0, 0, 1, 0, 2)[number % 6] if number > 5 else 0, (0, 0.05)[number % 2]
        row[20:26] = random.uniform(0, 1, 6)
        row[26:29] = number // 3, random.uniform(1, 4), number % 3
        row[29:31] = (number + 2) % 4, (1, 1, 1, 3, 5)[number % 5]
    rows[rows[:, 18] == 2, 1:4] = 0.9
    return rows, np.array([0.7, 0.1, -0.05, 0.02, np.cos(0.7), np.sin(0.7)], np.float32), random


def test_triton_distance_and_color_are_the_plain_scenes(one_of_each):
    rows, placement, random = one_of_each
    light = np.array([0, 0, 1, 0.5], np.float32)
    held_out = load_held_out()[3]
    every_kind = Scene("", "", "", 0.0, rows, placement, light)
    batch = from_numpy([(each.rows, each.placement, each.light) for each in (every_kind, held_out)], "cpu")
    points = random.uniform(-0.6, 0.6, (2, 300, 3)).astype(np.float32)
    found, colors = batch.distance(torch.from_numpy(points), color=True)
    assert (found < 0).any() and (found > 0).any()
    for number, scene in enumerate((every_kind, held_out)):
        np.testing.assert_allclose(found[number], scene.distance(points[number]), atol=2e-5)
        # where two parts or two colors meet, rounding decides
        same = np.abs(colors[number].numpy() - scene.color(points[number])).max(1) < 1e-3
        assert same.mean() > 0.99, same.mean()

    # every pattern alone, and stripes along every axis
    patterns = []
    for pattern, axis in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (4, 0), (5, 0)]:
        row = rows[:1].copy()
        row[0, 26], row[0, 28] = pattern, axis
        patterns.append(Scene("", "", "", 0.0, row, placement, light))
    batch = from_numpy([(each.rows, each.placement, each.light) for each in patterns], "cpu")
    points = random.uniform(-0.6, 0.6, (8, 200, 3)).astype(np.float32)
    _, colors = batch.distance(torch.from_numpy(points), color=True)
    for scene, mine, where in zip(patterns, colors.numpy(), points, strict=True):
        same = np.abs(mine.clip(0, 1) - scene.color(where)).max(1) < 1e-3
        assert same.mean() > 0.99, (scene.rows[0, 26:29], same.mean())


def test_triton_image_is_the_benchmarks():
    """One tile: the middle of a picture seen through a frame of 16 pixels."""
    scene = next(each for each in load_held_out() if each.name == "snowman-0")
    truth = Truth(scene, resolution=64)
    batch = from_numpy([(scene.rows, scene.placement, scene.light)], "cpu")
    picture = batch.render(torch.from_numpy(truth.pose)[None], torch.zeros(1), 16, 1)[0].numpy() / 255
    wanted = truth.pictures(truth.pose[None], 16, 1)[0]
    covered = wanted[..., 3] > 0.5
    assert 30 < covered.sum() < 200
    assert ((picture[..., 3] > 0.5) == covered).mean() > 0.97
    both = covered & (picture[..., 3] > 0.5)
    assert np.abs(picture - wanted)[both][:, :3].mean() < 0.01
    assert (picture[~covered & (picture[..., 3] < 0.5)][:, :3] == 1).all()

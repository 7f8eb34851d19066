"""The Triton renderer against the plain PyTorch scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.ground_truth import GroundTruth
from benchmark.shapes import ProceduralShape
from procedural.scene import Scene, load_held_out
from procedural.schema import ROW_LENGTH, Column, Operation, Pattern, Primitive
from procedural.triton_renderer import from_numpy


@pytest.fixture
def one_of_each():
    """Rows of every kind of primitive, pattern and operation, their object-to-world transform, and a generator."""
    rows = np.zeros((18, ROW_LENGTH), np.float32)
    random = np.random.default_rng(0)
    operations = (*[Operation.UNION] * 3, Operation.SUBTRACT, Operation.UNION, Operation.INTERSECT)
    for number, row in enumerate(rows):
        row[Column.KIND] = number % len(Primitive)
        row[Column.A : Column.ROUNDING] = random.uniform(0.1, 0.3, 3)
        row[Column.ROUNDING], row[Column.HALF_DEPTH] = 0.02, 0.1
        row[Column.CENTER : Column.ROTATION] = random.uniform(-0.4, 0.4, 3)
        row[Column.ROTATION : Column.OPERATION] = np.linalg.qr(random.normal(size=(3, 3)))[0].ravel()
        row[Column.OPERATION] = operations[number % 6] if number > 5 else Operation.UNION
        row[Column.BLEND] = (0, 0.05)[number % 2]
        row[Column.COLOR_A : Column.PATTERN] = random.uniform(0, 1, 6)
        row[Column.PATTERN], row[Column.FREQUENCY], row[Column.AXIS] = number // 3, random.uniform(1, 4), number % 3
        row[Column.MIRROR], row[Column.REPEAT] = (number + 2) % 4, (1, 1, 1, 3, 5)[number % 5]
    rows[rows[:, Column.OPERATION] == Operation.INTERSECT, Column.A : Column.ROUNDING] = 0.9
    return rows, np.array([0.7, 0.1, -0.05, 0.02, np.cos(0.7), np.sin(0.7)], np.float32), random


def batch_of(scenes):
    return from_numpy([(scene.rows, scene.object_to_world, scene.light) for scene in scenes], "cpu")


def test_triton_distance_and_color_are_the_plain_scenes(one_of_each):
    rows, object_to_world, random = one_of_each
    light = np.array([0, 0, 1, 0.5], np.float32)
    held_out = load_held_out()[3]
    every_kind = Scene("", "", "", 0.0, rows, object_to_world, light)
    batch = batch_of((every_kind, held_out))
    points = random.uniform(-0.6, 0.6, (2, 300, 3)).astype(np.float32)
    distance, colors = batch.distance(torch.from_numpy(points), color=True)
    assert (distance < 0).any() and (distance > 0).any()
    for number, scene in enumerate((every_kind, held_out)):
        np.testing.assert_allclose(distance[number], scene.distance(points[number]), atol=2e-5)
        # where two primitives or two colors meet, rounding decides
        same = np.abs(colors[number].numpy() - scene.color(points[number])).max(1) < 1e-3
        assert same.mean() > 0.99, same.mean()

    # every pattern alone, and stripes along every axis
    patterns = []
    for pattern, axis in [*((pattern, 0) for pattern in Pattern), (Pattern.STRIPES, 1), (Pattern.STRIPES, 2)]:
        row = rows[:1].copy()
        row[0, Column.PATTERN], row[0, Column.AXIS] = pattern, axis
        patterns.append(Scene("", "", "", 0.0, row, object_to_world, light))
    batch = batch_of(patterns)
    points = random.uniform(-0.6, 0.6, (8, 200, 3)).astype(np.float32)
    _, colors = batch.distance(torch.from_numpy(points), color=True)
    for scene, albedo, where in zip(patterns, colors.numpy(), points, strict=True):
        same = np.abs(albedo.clip(0, 1) - scene.color(where)).max(1) < 1e-3
        assert same.mean() > 0.99, (scene.rows[0, Column.PATTERN : Column.MIRROR], same.mean())


def test_triton_image_is_the_benchmarks():
    """An image of 16 pixels a side, one tile."""
    scene = next(scene for scene in load_held_out() if scene.name == "snowman-0")
    truth = GroundTruth(ProceduralShape(scene, 128))
    batch = batch_of([scene])
    rendered = batch.render(torch.from_numpy(truth.pose)[None], torch.zeros(1), 16, 1)[0].numpy() / 255
    expected = truth.render(truth.pose[None], 16, 1)[0]
    covered = expected[..., 3] > 0.5
    assert 30 < covered.sum() < 200
    assert ((rendered[..., 3] > 0.5) == covered).mean() > 0.97
    both = covered & (rendered[..., 3] > 0.5)
    assert np.abs(rendered - expected)[both][:, :3].mean() < 0.01
    assert (rendered[~covered & (rendered[..., 3] < 0.5)][:, :3] == 1).all()

"""Joined scenes against the distances to both scenes alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from procedural import sampling
from procedural.families.materials import solid
from procedural.families.primitives import box, cone, ellipsoid, limb, prism, ring, rotated, to_rows
from procedural.joining import can_be_added, join
from procedural.schema import Column, Mirror, Operation
from procedural.sdf import object_color, object_distance

RED, BLUE = solid((0.8, 0.1, 0.1)), solid((0.1, 0.2, 0.8))
PRIMITIVES = {
    "ellipsoid": ellipsoid((0.7, 0.5, 0.1), (0.3, 0.2, 0.1), BLUE),
    "box": box((0.8, 0.6, 0), (0.3, 0.2, 0.1), BLUE, 0.05, rotated(20, 30, 40)),
    "cone": cone((0.7, 0.5, 0.2), 0.3, 0.1, 0.2, BLUE, 0.02, rotated(x=50)),
    "torus": ring((0.8, 0.6, 0), 0.3, 0.1, BLUE, 70, rotated(y=30)),
    "capsule": limb((0.6, 0.5, 0), (0.9, 0.7, 0.3), 0.1, 0.2, BLUE),
    "prism": prism((0.8, 0.6, 0.1), 0.3, 0.1, 0.2, 0.15, BLUE, 0.02, rotated(z=15)),
}


def distances(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    return object_distance(torch.from_numpy(rows), torch.from_numpy(points.astype(np.float32)))[0].numpy()


@pytest.mark.parametrize("combination", ({}, {"mirror": Mirror.X}, {"mirror": Mirror.XY}, {"repeat": 3}), ids=str)
@pytest.mark.parametrize("name", PRIMITIVES)
def test_joined_scene_is_the_union_of_both(name, combination):
    row = np.array(PRIMITIVES[name], np.float32)
    row[Column.MIRROR], row[Column.REPEAT] = combination.get("mirror", 0), combination.get("repeat", 1)
    first, second = to_rows([box((0, 0, 0), (0.4, 0.3, 0.2), RED)]), row[None]
    scale, offset = 0.6, np.array([0.2, -0.3, 0.5])
    rotation = Rotation.from_euler("xyz", (25, -40, 70), degrees=True).as_matrix()
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (4000, 3))
    joined = distances(join(first, second, scale, rotation, offset), points)
    own = scale * distances(second, (points - offset) @ rotation / scale)
    expected = np.minimum(distances(first, points), own)
    if "repeat" in combination:  # a repeated primitive's distance is that to the copy of the point's own sector
        expected, joined = expected < 0, joined < 0
    np.testing.assert_allclose(joined, expected, atol=2e-5)


def test_joined_scene_keeps_the_colors_of_patterned_primitives():
    rng = np.random.default_rng(3)
    second = sampling.sample("snowman", 5)
    assert can_be_added(second)
    first = to_rows([ellipsoid((0, 0, -9), 0.1, RED)])  # far away from all points
    rotation = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix()
    points = rng.uniform(-1, 1, (3000, 3)).astype(np.float32)
    moved = (0.5 * points @ rotation.T + (0.1, 0.2, 0.3)).astype(np.float32)
    rows = join(first, second, 0.5, rotation, np.array([0.1, 0.2, 0.3]))

    def colors(table: np.ndarray, at: np.ndarray) -> np.ndarray:
        tensors = torch.from_numpy(table), torch.from_numpy(at)
        return object_color(*tensors, object_distance(*tensors)[1]).numpy()

    same = np.isclose(colors(second, points), colors(rows, moved), atol=1e-3).all(1)
    assert same.mean() > 0.98  # rounding moves a few points across the border between two colors


def test_scene_that_cuts_is_refused():
    cut = to_rows([box((0, 0, 0), (1, 1, 1), RED), ellipsoid((0, 0, 0), 0.5, BLUE, op=Operation.SUBTRACT)])
    assert not can_be_added(cut)
    with pytest.raises(ValueError, match="cuts"):
        join(cut, cut, 1.0, np.eye(3), np.zeros(3))


def test_scenes_with_too_many_rows_are_refused():
    many = to_rows([ellipsoid((0, 0, z), 0.5, RED) for z in range(11)])
    with pytest.raises(ValueError, match="11 and 11 rows"):
        join(many, many, 1.0, np.eye(3), np.zeros(3))

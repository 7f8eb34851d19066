"""Scenes in world space, and the benchmark's fixed list of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmark.ground_truth import GroundTruth
from benchmark.shapes import ProceduralShape
from procedural.families.materials import solid
from procedural.families.primitives import box, ellipsoid, to_rows
from procedural.held_out import held_out_scenes
from procedural.sampling import FAMILIES, HELD_OUT_FAMILIES
from procedural.scene import Scene, load_held_out, shade
from procedural.sdf import object_distance
from tests.helpers.cases import others_in_full


def make_scene(rows, scale=0.5, translation=(0.1, -0.05, 0.02), yaw=0.7):
    object_to_world = np.array([scale, *translation, math.cos(yaw), math.sin(yaw)], np.float32)
    return Scene("a", "a", "in_distribution", 10.0, rows, object_to_world, np.array([0, 0, 1, 0.5], np.float32))


def test_scene_is_rotated_scaled_and_translated_into_the_world():
    rows = to_rows(
        [
            box((0, 0, 0), (0.6, 0.2, 0.3), solid((0.25,) * 3), rounding=0.0),
            ellipsoid((0.6, 0, 0), 0.2, solid((0.75,) * 3)),
        ]
    )
    scene = make_scene(rows)
    sin, cos = math.sin(0.7), math.cos(0.7)
    rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    in_object = np.random.default_rng(0).uniform(-1, 1, (500, 3)).astype(np.float32)
    world = 0.5 * in_object @ rotation + (0.1, -0.05, 0.02)
    distance, owner = object_distance(torch.from_numpy(rows), torch.from_numpy(in_object))
    np.testing.assert_allclose(scene.distance(world), 0.5 * distance, atol=1e-6)
    np.testing.assert_allclose(scene.color(world)[:, 0], np.where(owner == 0, 0.25, 0.75))
    assert scene.distance(np.zeros((0, 3), np.float32)).shape == (0,)


def test_light_falls_from_its_side_and_never_goes_out():
    scene = make_scene(to_rows([ellipsoid((0, 0, 0), 0.1, solid((0.8,) * 3))]))
    albedo = np.full((3, 3), 0.8)
    lit = shade(albedo, np.array([[0, 0, 1.0], [1, 0, 0], [0, 0, -1]]), scene.light)
    np.testing.assert_allclose(lit[0], 0.8)
    np.testing.assert_allclose(lit[2], 0.4)
    assert (lit[0] > lit[1]).all()
    assert (lit[1] > lit[2]).all()


@pytest.fixture(scope="module")
def held_out():
    return load_held_out()


def test_held_out_list_is_what_its_name_says(held_out):
    assert len(held_out) == 33
    assert len({scene.name for scene in held_out}) == 33
    seeds = [scene.family for scene in held_out if scene.group == "in_distribution"]
    families = [scene.family for scene in held_out if scene.group == "held_out_families"]
    assert len(seeds) == len(set(seeds)) == 24
    assert set(seeds) < set(FAMILIES)
    assert len(families) == 9
    assert set(families) == set(HELD_OUT_FAMILIES)
    assert not set(families) & set(FAMILIES)
    for scene in held_out:
        assert -10 < scene.elevation < 50
        assert np.linalg.norm(scene.light[:3]) == pytest.approx(1, abs=1e-3)


def test_held_out_list_can_be_made_again(held_out):
    """The same seeds give the same scenes; only the transforms are sums whose order may depend on the processor."""
    again = held_out_scenes()
    assert [scene.name for scene in again] == [scene.name for scene in held_out]
    for scene, stored in zip(again, held_out, strict=True):
        np.testing.assert_array_equal(scene.rows, stored.rows)
        np.testing.assert_array_equal(scene.light, stored.light)
        np.testing.assert_allclose(scene.object_to_world, stored.object_to_world, atol=1e-6)
        assert (scene.family, scene.group, scene.elevation) == (stored.family, stored.group, stored.elevation)


@pytest.mark.parametrize("number", others_in_full(range(33), 0, 6, 12, 18, 24, 30))
def test_held_out_scene_fills_its_frame_as_a_cutout_does(held_out, number):
    torch.set_num_threads(1)
    scene = held_out[number]
    truth = GroundTruth(ProceduralShape(scene, 128), view_size=64)
    reach = np.abs(truth.shape.mesh.vertices).max()
    # scaled to 0.57; a tip thinner than the cells it was measured with (guitar-2) may protrude by 0.02
    assert reach < 0.59
    rows, columns = np.nonzero(truth.picture(size=256)[..., 3] > 0.5)
    low = np.array([columns.min(), rows.min()])
    high = np.array([columns.max(), rows.max()]) + 1
    side = (high - low).max() / 256
    assert np.abs((low + high) / 2 / 256 - 0.5).max() < 0.015
    assert side == pytest.approx(0.75, abs=0.02) or (side < 0.75 and reach > 0.56)

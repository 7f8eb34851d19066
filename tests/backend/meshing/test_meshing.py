"""Closed, manifold, outward, on budget: over fields that are hard on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy.ndimage import gaussian_filter

from backend import meshing as meshes
from backend.errors import UserError
from backend.meshing import extraction, grid_sampling, simplify
from backend.meshing.measurement import measure
from backend.types import Mesh
from tests.helpers.fields import FIELDS, AnalyticField, ball


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_closed_manifold_outward_and_on_budget(name):
    for faces in (500, 5000, 20000, 100000):
        facts = meshes.measure(meshes.extract(FIELDS[name], 96, faces))
        assert facts["manifold"], (name, faces)
        assert facts["watertight"]
        assert facts["faces"] == faces
        assert facts["components"] == 1
        assert facts["volume"] > 0


def test_noise_of_any_kind_stays_manifold_on_budget():
    for seed in range(3):
        random = np.random.default_rng(seed)
        values = gaussian_filter(random.normal(size=(32,) * 3), random.uniform(0.2, 1.5)).astype(np.float32)
        values -= np.quantile(values, random.uniform(0.2, 0.6))
        values = np.pad(values, 1, constant_values=values.std())
        shell = simplify.outer_shell(Mesh(*extraction.isosurface(values)))
        for faces in (600, 40001):
            facts = measure(simplify.fit(simplify.smooth(shell), faces))
            assert (facts["manifold"], facts["faces"], facts["components"]) == (True, faces // 2 * 2, 1), seed


def test_surface_lies_where_the_field_says():
    sphere = meshes.extract(FIELDS["sphere"], 96, 20000)
    assert np.abs(FIELDS["sphere"].distance(sphere.vertices)).max() < 1e-3
    assert measure(sphere)["volume"] == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=5e-3)
    assert measure(meshes.extract(FIELDS["torus"], 96, 5000))["genus"] == 1
    assert measure(meshes.extract(FIELDS["mug"], 96, 20000))["genus"] == 1


def test_the_originals_way_asks_everywhere_and_does_not_smooth():
    asked = []

    def blob(points):
        asked.append(len(points))
        return ball(points, 0.03) * 5  # so small that a coarse look misses it, and no true distance

    field = AnalyticField(blob)

    def own(points):
        return (points * 0.6).astype(np.float32)

    values = grid_sampling.dense(field, 47, own)
    assert values.shape == (48,) * 3 and sum(asked) == 48**3
    steps = np.linspace(-0.6, 0.6, 48, dtype=np.float32)[1:-1]
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    assert np.abs(values[1:-1, 1:-1, 1:-1].ravel() - blob(points)).max() < 1e-5
    raw = meshes.extract(field, 95, 500, dense=own)
    facts = measure(raw)
    assert facts["manifold"] and facts["faces"] == 500

    noise = AnalyticField(lambda p: ball(p) + 0.01 * np.sin(90 * p).prod(-1))
    rough, smooth = (meshes.extract(noise, 95, 60000, dense=each) for each in (own, None))
    assert np.abs(noise.distance(rough.vertices)).mean() < 0.5 * np.abs(noise.distance(smooth.vertices)).mean()


def test_a_networks_own_grid_may_be_larger_and_stand_elsewhere():
    """... and what the field says outside its own cube does not count."""
    turn = np.float32([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    two = AnalyticField(lambda p: np.minimum(ball(p, 0.3, (0.2, 0, 0)), ball(p, 0.6, (0, 0, 1.3))))
    mesh = meshes.extract(two, 127, 5000, dense=lambda points: (1.5 * points @ turn + (0, 0, 0.4)).astype(np.float32))
    assert np.abs(ball(mesh.vertices, 0.3, (0.2, 0, 0))).max() < 0.01
    facts = measure(mesh)
    assert facts["watertight"] and facts["components"] == 1 and facts["volume"] > 0


def test_only_the_outer_shell_of_the_largest_part_stays():
    assert measure(meshes.extract(FIELDS["hollow"], 64, 5000))["volume"] == pytest.approx(0.381, rel=0.02)
    blobs = meshes.extract(FIELDS["blobs"], 64, 5000)
    assert blobs.vertices[:, 0].min() > -0.05


def _pole_and_foot(gap: float, rise: float) -> AnalyticField:
    """A ball over a foot, ``gap`` apart; between them the field rises to ``rise`` of the true distance."""

    def distance(points):
        above, below = ball(points, 0.2, (0, 0, 0.2 + gap / 2)), ball(points, 0.1, (0, 0, -0.1 - gap / 2))
        true = np.minimum(above, below)
        return np.where((true > 0) & (np.hypot(points[:, 0], points[:, 1]) < 0.1), rise * true, true)

    return AnalyticField(distance)


@pytest.mark.parametrize(
    ("gap", "rise", "joined"), [(0.15, 0.1, True), (0.15, 0.7, True), (0.15, 1.0, False), (0.02, 1.0, True)]
)
def test_parts_that_the_field_tells_apart_only_half_heartedly_are_joined(gap, rise, joined):
    mesh = meshes.extract(_pole_and_foot(gap, rise), 96, 4000)
    assert (mesh.vertices[:, 2].min() < -0.15) == joined
    report = measure(mesh)
    assert report["watertight"] and report["manifold"] and report["components"] == 1


def test_two_equal_parts_are_joined_as_any_others():
    halves = AnalyticField(lambda p: np.minimum(ball(p, 0.2, (0.21, 0, 0)), ball(p, 0.2, (-0.21, 0, 0))))
    mesh = meshes.extract(halves, 96, 4000)
    assert mesh.vertices[:, 0].min() < -0.3 and mesh.vertices[:, 0].max() > 0.3


def test_a_bridge_along_the_border_leaves_the_surface_closed():
    def distance(points):
        return np.minimum(ball(points, 0.2, (0.55, 0, 0.3)), ball(points, 0.2, (0.55, 0, -0.12)))

    report = measure(meshes.extract(AnalyticField(distance), 96, 4000))
    assert report["watertight"] and report["manifold"] and report["components"] == 1
    assert report["bounding_box"][0][2] < -0.2 and report["bounding_box"][1][2] > 0.4


@pytest.mark.parametrize(("radius", "joined"), [(0.03, False), (0.05, True)])
def test_a_small_part_close_by_is_joined_but_no_stray_crumb(radius, joined):
    field = AnalyticField(lambda p: np.minimum(ball(p, 0.3), ball(p, radius, (0, 0, 0.32 + radius))))
    assert (meshes.extract(field, 96, 4000).vertices[:, 2].max() > 0.31) == joined


def test_a_field_that_runs_out_of_its_cube_is_closed_inside_it():
    outside = FIELDS["outside"]
    mesh = meshes.extract(outside, 96, 5000)
    assert np.abs(mesh.vertices).max() <= outside.half_side
    assert measure(mesh)["watertight"]


def test_no_surface_is_a_clear_error():
    for distance in (lambda p: np.ones(len(p)), lambda p: ball(p, 0.001, (0.01, 0.02, 0.03))):
        with pytest.raises(UserError) as raised:
            meshes.extract(AnalyticField(distance), 64, 1000)
        assert raised.value.code == "no_object"


def test_a_field_without_numbers_is_a_clear_error():
    with pytest.raises(UserError) as raised:
        meshes.extract(AnalyticField(lambda p: np.full(len(p), np.nan)), 64, 1000)
    assert raised.value.code == "broken_field"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_coarse_to_fine_misses_no_sign(name):
    field = FIELDS[name]
    queried = 0

    def count(points: np.ndarray) -> np.ndarray:
        nonlocal queried
        queried += len(points)
        return field.function(points)

    fractions = []
    values = grid_sampling.sample(AnalyticField(count, field.half_side), 64, fractions.append)
    axis = np.linspace(-field.half_side, field.half_side, 65, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    expected = (field.distance(points) < 0).reshape(values.shape)
    for layer in (0, -1):
        expected[layer] = expected[:, layer] = expected[:, :, layer] = False
    assert np.array_equal(values < 0, expected)
    assert fractions[-1] == 1 and queried < 0.75 * values.size


def test_cancelling_between_blocks_reaches_the_caller():
    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grid_sampling.sample(FIELDS["sphere"], 64, stop)


def test_measure_sees_what_is_wrong():
    box = trimesh.creation.box()
    good = Mesh(box.vertices.astype(np.float32), box.faces.astype(np.int32))
    assert measure(good) == {
        "vertices": 8,
        "faces": 12,
        "watertight": True,
        "manifold": True,
        "components": 1,
        "genus": 0,
        "volume": pytest.approx(1),
        "bounding_box": [[-0.5] * 3, [0.5] * 3],
        "longest_side": 1.0,
    }
    assert not measure(Mesh(good.vertices, good.faces[1:]))["watertight"]
    assert measure(Mesh(good.vertices, good.faces[:, ::-1]))["volume"] == pytest.approx(-1)
    one_flipped = good.faces.copy()
    one_flipped[0] = one_flipped[0, ::-1]
    assert not measure(Mesh(good.vertices, one_flipped))["manifold"]
    # two boxes that share one corner: every edge is fine, the corner is pinched
    corner = 8 + np.flatnonzero((good.vertices == -0.5).all(1))[0]
    other = good.faces + 8
    other[other == corner] = np.flatnonzero((good.vertices == 0.5).all(1))[0]
    kept, faces = np.unique(np.concatenate([good.faces, other]), return_inverse=True)
    pinched = Mesh(np.concatenate([good.vertices, good.vertices + 1])[kept], faces.reshape(-1, 3).astype(np.int32))
    assert measure(pinched)["watertight"]
    assert not measure(pinched)["manifold"]
    # the same two boxes with a corner each, at one place
    touching = Mesh(np.concatenate([good.vertices, good.vertices + 1]), np.concatenate([good.faces, good.faces + 8]))
    assert not measure(touching)["manifold"]

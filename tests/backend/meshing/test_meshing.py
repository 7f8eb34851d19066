"""Meshes are closed, manifold, oriented outwards and on budget, even for fields that are hard to mesh."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from scipy import ndimage
from scipy.ndimage import gaussian_filter

from backend import meshing
from backend.data_types import Mesh
from backend.errors import UserError
from backend.meshing import extraction, grid_sampling, handles, simplify
from backend.meshing.measurement import measure
from tests.helpers.cases import others_in_full
from tests.helpers.fields import FIELDS, AnalyticField, ball, box, cylinder


@pytest.mark.parametrize("name", others_in_full(sorted(FIELDS), "gyroid", "mug", "rod", "touching"))
def test_mesh_is_manifold_outward_and_on_budget(name):
    volume = None
    for faces in (100000, 20000, 5000, 500):
        report = meshing.measure(meshing.extract(FIELDS[name], 96, faces))
        volume = volume or report["volume"]
        assert report["manifold"], (name, faces)
        assert report["watertight"]
        assert report["faces"] == faces
        assert report["components"] == 1 or faces == 500  # where a mesh this coarse is pinched, both parts stay
        assert volume > 0 and report["volume"] == pytest.approx(volume, rel=0.15 if faces == 500 else 0.03)


def test_noise_is_manifold_and_on_budget():
    for seed in range(3):
        random = np.random.default_rng(seed)
        values = gaussian_filter(random.normal(size=(32,) * 3), random.uniform(0.2, 1.5)).astype(np.float32)
        values -= np.quantile(values, random.uniform(0.2, 0.6))
        values = np.pad(values, 1, constant_values=values.std())
        shell = simplify.outer_shell(Mesh(*extraction.isosurface(values)))
        for faces, components in ((600, 50), (40001, 1)):
            report = measure(simplify.simplify_to_budget(simplify.smooth(shell), faces))
            assert (report["manifold"], report["faces"]) == (True, faces // 2 * 2), seed
            assert report["components"] <= components, seed


def test_surface_is_where_the_field_is_zero():
    sphere = meshing.extract(FIELDS["sphere"], 96, 20000)
    assert np.abs(FIELDS["sphere"].distance(sphere.vertices)).max() < 1e-3
    assert measure(sphere)["volume"] == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=5e-3)
    assert measure(meshing.extract(FIELDS["torus"], 96, 5000))["genus"] == 1
    assert measure(meshing.extract(FIELDS["mug"], 96, 20000))["genus"] == 1


def test_reference_grid_is_evaluated_everywhere_and_not_smoothed():
    counts = []

    def blob(points):
        counts.append(len(points))
        return ball(points, 0.03) * 5  # so small that a coarse grid misses it, and not a true distance

    field = AnalyticField(blob)

    def grid(points):
        return (points * 0.6).astype(np.float32)

    values = grid_sampling.sample_reference_grid(field, 47, grid)
    assert values.shape == (48,) * 3 and sum(counts) == 48**3
    steps = np.linspace(-0.6, 0.6, 48, dtype=np.float32)[1:-1]
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    assert np.abs(values[1:-1, 1:-1, 1:-1].ravel() - blob(points)).max() < 1e-5
    raw = meshing.extract(field, 95, 500, reference_grid=grid)
    report = measure(raw)
    assert report["manifold"] and report["faces"] == 500

    noise = AnalyticField(lambda p: ball(p) + 0.01 * np.sin(90 * p).prod(-1))
    rough, smooth = (meshing.extract(noise, 95, 60000, reference_grid=choice) for choice in (grid, None))
    assert np.abs(noise.distance(rough.vertices)).mean() < 0.5 * np.abs(noise.distance(smooth.vertices)).mean()


def test_reference_grid_may_be_larger_and_rotated():
    """... and the field's values outside its own cube are ignored."""
    rotation = np.float32([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    two = AnalyticField(lambda p: np.minimum(ball(p, 0.3, (0.2, 0, 0)), ball(p, 0.6, (0, 0, 1.3))))

    def grid(points):
        return (1.5 * points @ rotation + (0, 0, 0.4)).astype(np.float32)

    mesh = meshing.extract(two, 127, 5000, reference_grid=grid)
    assert np.abs(ball(mesh.vertices, 0.3, (0.2, 0, 0))).max() < 0.01
    report = measure(mesh)
    assert report["watertight"] and report["components"] == 1 and report["volume"] > 0


def test_outer_shell_of_the_largest_component_remains():
    assert measure(meshing.extract(FIELDS["hollow"], 64, 5000))["volume"] == pytest.approx(0.381, rel=0.02)
    blobs = meshing.extract(FIELDS["blobs"], 64, 5000)
    assert blobs.vertices[:, 0].min() > -0.05


def _pole_and_base(gap: float, rise: float) -> AnalyticField:
    """Two balls, ``gap`` apart; between them the field is ``rise`` times the true distance."""

    def distance(points):
        above, below = ball(points, 0.2, (0, 0, 0.2 + gap / 2)), ball(points, 0.1, (0, 0, -0.1 - gap / 2))
        true = np.minimum(above, below)
        return np.where((true > 0) & (np.hypot(points[:, 0], points[:, 1]) < 0.1), rise * true, true)

    return AnalyticField(distance)


@pytest.mark.parametrize(
    ("gap", "rise", "bridged"), [(0.15, 0.1, True), (0.15, 0.7, True), (0.15, 1.0, False), (0.02, 1.0, True)]
)
def test_components_are_bridged_across_shallow_gaps(gap, rise, bridged):
    mesh = meshing.extract(_pole_and_base(gap, rise), 96, 4000)
    assert (mesh.vertices[:, 2].min() < -0.15) == bridged
    report = measure(mesh)
    assert report["watertight"] and report["manifold"] and report["components"] == 1


def test_components_of_equal_size_are_bridged():
    halves = AnalyticField(lambda p: np.minimum(ball(p, 0.2, (0.21, 0, 0)), ball(p, 0.2, (-0.21, 0, 0))))
    mesh = meshing.extract(halves, 96, 4000)
    assert mesh.vertices[:, 0].min() < -0.3 and mesh.vertices[:, 0].max() > 0.3


def test_bridge_along_the_border_leaves_the_surface_closed():
    def distance(points):
        return np.minimum(ball(points, 0.2, (0.55, 0, 0.3)), ball(points, 0.2, (0.55, 0, -0.12)))

    report = measure(meshing.extract(AnalyticField(distance), 96, 4000))
    assert report["watertight"] and report["manifold"] and report["components"] == 1
    assert report["bounding_box"][0][2] < -0.2 and report["bounding_box"][1][2] > 0.4


@pytest.mark.parametrize(("radius", "bridged"), [(0.03, False), (0.05, True)])
def test_components_that_are_too_small_are_not_bridged(radius, bridged):
    field = AnalyticField(lambda p: np.minimum(ball(p, 0.3), ball(p, radius, (0, 0, 0.32 + radius))))
    assert (meshing.extract(field, 96, 4000).vertices[:, 2].max() > 0.31) == bridged


@pytest.mark.parametrize(("radius", "genus"), [(0.02, 1), (0.035, 1), (0.12, 2)])
def test_narrow_handles_are_closed_and_nothing_else(radius, genus):
    """A plate with a hole of this radius and one that stays, and a slit that is no handle."""

    def plate_with_holes(p):
        holes = [cylinder(p - np.float32([x, 0, 0]), r, 0.3) for x, r in ((-0.2, radius), (0.25, 0.13))]
        slit = box(p - np.float32([0, 0.4, 0]), (0.03, 0.25, 0.3))
        return np.maximum(box(p, (0.5, 0.4, 0.1)), -np.minimum.reduce([*holes, slit]))

    field = AnalyticField(plate_with_holes, 0.6)
    before = measure(meshing.extract(field, 96, 20_000))
    after = measure(meshing.extract(field, 96, 20_000, without_handles=True))
    assert (before["genus"], after["genus"]) == (2, genus) and after["manifold"]
    hole = np.pi * radius**2 * 0.2 if genus == 1 else 0.0
    assert after["volume"] - before["volume"] == pytest.approx(hole, abs=0.002), "something else was filled"


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_separate_parts_are_kept_where_the_image_shows_as_many(parts):
    def balls(points):
        centers = ((-0.3, 0, 0.2), 0.2), ((0.3, 0, 0.2), 0.15), ((0, 0, -0.5), 0.02)  # the last one is debris
        return np.min([ball(points, radius, center) for center, radius in centers], 0)

    report = measure(meshing.extract(AnalyticField(balls), 64, 3000, parts=parts))
    assert report["components"] == min(parts, 2) and report["manifold"] and report["faces"] == 3000
    expected = sum(4 / 3 * np.pi * radius**3 for radius in (0.2, 0.15)[:parts])
    assert report["volume"] == pytest.approx(expected, rel=0.03)


def test_pinholes_are_closed_and_holes_stay():
    def sieve(points):
        plate = box(points, (0.4, 0.4, 0.02))
        holes = [cylinder(points - np.float32([x, y, 0]), radius, 1) for x, y, radius in
                 ((-0.2, -0.2, 0.008), (0.2, -0.2, 0.012), (-0.2, 0.2, 0.04), (0.2, 0.2, 0.08))]  # fmt: skip
        return np.maximum(plate, -np.min(holes, 0))

    assert measure(meshing.extract(AnalyticField(sieve), 128, 20_000))["genus"] == 2


def test_distances_are_exact_within_reach():
    chance = np.random.default_rng(0).random((9, 12, 25))
    for reach, share in ((3, 0.02), (11, 0.001)):  # in 8 and in 16 bits
        points = chance < share
        expected = ndimage.distance_transform_edt(~points)
        found, near = handles.squared_distances_up_to(points, reach), expected <= reach
        assert near.any() and not near.all()
        np.testing.assert_array_equal(found[near], np.round(expected[near] ** 2))
        assert (found[~near] > reach**2).all()


def test_euler_changes_are_those_of_each_piece_alone():
    chance = np.random.default_rng(1)
    inside = chance.random((12, 12, 12)) < 0.6
    labels, count = ndimage.label(~inside & (chance.random(inside.shape) < 0.5))  # many touch at edges and corners
    before = handles.euler_characteristic(inside)
    expected = [handles.euler_characteristic(inside | (labels == label)) - before for label in range(1, count + 1)]
    assert len(set(expected)) > 3
    assert handles.euler_changes(inside, labels)[1:].tolist() == expected


def test_euler_characteristic_counts_components_handles_and_cavities():
    solid = np.zeros((12, 12, 12), bool)
    solid[2:9, 2:9, 2:9] = True
    assert handles.euler_characteristic(solid) == 1 and not handles.has_handles(solid)
    solid[5, 5, 5] = False
    assert handles.euler_characteristic(solid) == 2 and not handles.has_handles(solid)
    solid[5, 5, :] = False
    assert handles.euler_characteristic(solid) == 0 and handles.has_handles(solid)
    solid[11, 11, 11] = True
    assert handles.euler_characteristic(solid) == 1 and handles.has_handles(solid)


def test_field_that_leaves_its_cube_is_closed_inside_it():
    outside = FIELDS["outside"]
    mesh = meshing.extract(outside, 96, 5000)
    assert np.abs(mesh.vertices).max() <= outside.half_side
    assert measure(mesh)["watertight"]


def test_field_without_a_surface_is_reported():
    for distance in (lambda p: np.ones(len(p)), lambda p: ball(p, 0.001, (0.01, 0.02, 0.03))):
        with pytest.raises(UserError) as raised:
            meshing.extract(AnalyticField(distance), 64, 1000)
        assert raised.value.code == "no_object"


def test_field_of_nan_is_reported():
    with pytest.raises(UserError) as raised:
        meshing.extract(AnalyticField(lambda p: np.full(len(p), np.nan)), 64, 1000)
    assert raised.value.code == "broken_field"


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_coarse_to_fine_sampling_misses_no_sign(name):
    field = FIELDS[name]
    queried = 0

    def count(points: np.ndarray) -> np.ndarray:
        nonlocal queried
        queried += len(points)
        return field.function(points)

    fractions = []
    values = grid_sampling.sample_coarse_to_fine(AnalyticField(count, field.half_side), 64, fractions.append)
    axis = np.linspace(-field.half_side, field.half_side, 65, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    expected = (field.distance(points) < 0).reshape(values.shape)
    for layer in (0, -1):
        expected[layer] = expected[:, layer] = expected[:, :, layer] = False
    assert np.array_equal(values < 0, expected)
    assert fractions[-1] == 1 and queried < 0.75 * values.size


def test_exception_in_a_progress_callback_propagates():
    def stop(fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grid_sampling.sample_coarse_to_fine(FIELDS["sphere"], 64, stop)


def test_measure_detects_defects():
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
    # two boxes that share one corner: all edges are manifold, the vertex is not
    corner = 8 + np.flatnonzero((good.vertices == -0.5).all(1))[0]
    other = good.faces + 8
    other[other == corner] = np.flatnonzero((good.vertices == 0.5).all(1))[0]
    used, faces = np.unique(np.concatenate([good.faces, other]), return_inverse=True)
    pinched = Mesh(np.concatenate([good.vertices, good.vertices + 1])[used], faces.reshape(-1, 3).astype(np.int32))
    assert measure(pinched)["watertight"]
    assert not measure(pinched)["manifold"]
    # the same two boxes, each with its own corner at one position
    touching = Mesh(np.concatenate([good.vertices, good.vertices + 1]), np.concatenate([good.faces, good.faces + 8]))
    assert not measure(touching)["manifold"]

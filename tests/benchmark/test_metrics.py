"""The benchmark's numbers, on cases whose answers are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import trimesh

from backend import camera
from backend.meshing.measurement import measure
from backend.rendering import raycasting
from backend.types import Mesh
from benchmark import baselines, ground_truth, metrics


def mesh_of(shape, offset=(0, 0, 0)):
    return Mesh((shape.vertices + offset).astype(np.float32), shape.faces.astype(np.int32))


def ball(radius=0.5, offset=(0, 0, 0)):
    return mesh_of(trimesh.creation.icosphere(subdivisions=5, radius=radius), offset)


def cube(extents=(1, 1, 1), offset=(0, 0, 0)):
    return mesh_of(trimesh.creation.box(extents), offset)


EYE = np.array([0, -3.0, 0])


@dataclass(frozen=True)
class BallScene:
    """A ball, red where x > 0 and green elsewhere, evenly lit."""

    name = "ball"
    family = "ball"
    group = "seed"
    radius: float = 0.4
    elevation: float = 20.0
    half_side: float = 0.6

    def distance(self, points):
        return (np.linalg.norm(points, axis=-1) - self.radius).astype(np.float32)

    def color(self, points):
        return np.where(points[:, :1] > 0, np.float32([[0.9, 0.1, 0.1]]), np.float32([[0.1, 0.8, 0.1]]))

    def shade(self, albedo, normals):
        return albedo * (0.5 + 0.5 * normals[:, 2:].clip(0))


def test_samples_lie_evenly_on_the_surface():
    points, normals = metrics.sample(cube((1, 2, 4)), 28_000)
    inside = np.abs(points) - np.array([0.5, 1, 2])
    np.testing.assert_allclose(inside.max(-1), 0, atol=1e-6)
    on_top = normals[:, 2] > 0.9
    assert abs(on_top.sum() / 28_000 - 2 / 28) < 0.005
    np.testing.assert_allclose(points[on_top].mean(0), (0, 0, 2), atol=0.03)
    again, _ = metrics.sample(cube((1, 2, 4)), 28_000)
    np.testing.assert_array_equal(points, again)


def test_a_perfect_prediction_scores_full_marks():
    result = metrics.Reference(ball(), EYE).compare(ball())
    assert result["f05"] == result["f02"] == result["f10"] == 1
    assert result["chamfer"] < 0.003
    assert result["normal_consistency"] > 0.999
    assert metrics.volume_iou(ball(), ball()) == 1


def test_concentric_balls_are_their_gap_apart_at_any_scale():
    for scale in (1, 7):
        result = metrics.Reference(ball(0.5 * scale), EYE * scale).compare(ball(0.47 * scale))
        assert abs(result["chamfer"] - 0.03) < 0.001
        assert result["f02"] == 0
        assert result["f05"] == result["f10"] == 1


def test_half_of_the_recall_is_missing_without_half_of_the_object():
    both = trimesh.util.concatenate([trimesh.creation.box((1, 1, 1)).apply_translation((x, 0, 0)) for x in (-2, 2)])
    result = metrics.Reference(mesh_of(both), EYE * 5).compare(cube(offset=(2, 0, 0)))
    assert abs(result["f05"] - 2 / 3) < 0.005
    assert abs(result["recall_seen_05"] - 0.5) < 0.01


def test_the_far_side_is_judged_apart():
    true = ball()
    half = Mesh(true.vertices, true.faces[true.vertices[true.faces].mean(1)[:, 1] < 0.05])
    result = metrics.Reference(true, EYE).compare(half)
    assert result["recall_seen_02"] > 0.99
    assert 0.1 < result["recall_unseen_02"] < 0.3


def test_what_a_point_sees():
    true = ball()
    points, normals = metrics.sample(true, 20_000)
    seen = metrics.visible(true, points, normals, EYE)
    expected = points[:, 1] < -0.5 * 0.5 / 3
    assert np.mean(seen == expected) > 0.995
    table = trimesh.util.concatenate([trimesh.creation.box((2, 2, 0.1)), trimesh.creation.box((0.2, 0.2, 1))])
    below = np.array([[0.5, 0.5, -0.05], [0.5, 0.5, 0.05], [0.5, -1, 0]])
    up = np.array([[0, 0, -1.0], [0, 0, 1], [0, -1, 0]])
    np.testing.assert_array_equal(metrics.visible(mesh_of(table), below, up, np.array([0, -3, 3])), [False, True, True])


def test_volumes():
    assert abs(metrics.volume_iou(cube(), cube(offset=(0.5, 0, 0))) - 1 / 3) < 0.01
    assert abs(metrics.volume_iou(ball(0.5), ball(0.4)) - 0.8**3) < 0.01
    inside = metrics.occupancy(ball(0.5), np.full(3, -0.6), 1.2, 64)
    assert abs(inside.sum() * (1.2 / 64) ** 3 - math.pi / 6) < 0.005
    centers = (np.stack(np.meshgrid(*3 * [np.arange(64) + 0.5], indexing="ij"), -1) * 1.2 / 64) - 0.6
    distance = np.linalg.norm(centers, axis=-1)
    assert inside[distance < 0.495].all()
    assert not inside[distance > 0.5].any()
    opened = Mesh(ball().vertices, ball().faces[1:])
    assert metrics.volume_iou(ball(), opened) is None


def test_pictures():
    gray = np.full((8, 8, 3), 0.5)
    assert metrics.psnr(gray, gray) == 60
    assert abs(metrics.psnr(gray, gray + 0.1) - 20) < 1e-9
    where = np.zeros((8, 8), bool)
    assert math.isnan(metrics.psnr(gray, gray, where))
    where[2:4] = True
    worse = gray + np.where(where, 0.01, 0.4)[..., None]
    assert abs(metrics.psnr(gray, worse, where) - 40) < 1e-9
    a, b = np.zeros((2, 10, 10), bool)
    a[:6], b[4:] = True, True
    assert metrics.mask_iou(a, b) == 0.2


@pytest.fixture(scope="module")
def truth():
    return ground_truth.Truth(BallScene(), resolution=96, view_size=64)


def test_the_true_mesh_is_the_scene(truth):
    np.testing.assert_allclose(np.linalg.norm(truth.mesh.vertices, axis=-1), 0.4, atol=1e-3)
    facts = measure(truth.mesh)
    assert facts["watertight"]
    assert abs(facts["volume"] - 4 / 3 * math.pi * 0.4**3) < 1e-3


def test_the_input_picture_shows_the_scene_and_its_light(truth):
    picture = truth.picture(128)
    radius = 128 * camera.FOCAL * math.tan(math.asin(0.4 / camera.RADIUS))
    assert abs(picture[..., 3].sum() - math.pi * radius**2) < 0.01 * math.pi * radius**2
    assert picture[64, 80, 0] > picture[64, 80, 1]
    assert picture[64, 48, 0] < picture[64, 48, 1]
    assert picture[30, 80, 0] > picture[100, 80, 0], "lit from above"


def test_novel_views_are_split_into_what_the_input_saw(truth):
    poses, pictures, seen, unseen = truth.novel
    assert poses.shape == (24, 4, 4)
    assert not (seen & unseen).any()
    # The first view stands 15 degrees beside the input, the seventh (k = 6) nearly behind the object.
    assert seen[12].sum() > 5 * unseen[12].sum()
    assert unseen[18].sum() > 5 * seen[18].sum()
    np.testing.assert_array_equal(pictures[~(seen | unseen)], 1)


def test_a_painted_true_mesh_scores_full_marks_and_a_gray_one_does_not(truth):
    exact = metrics_of(truth, truth.mesh, (0.5, 0.5, 0.5))
    assert exact["f02"] == 1
    assert exact["volume_iou"] == 1
    assert exact["silhouette_iou"] == 1
    assert 5 < exact["psnr"] < 25


def metrics_of(truth, mesh, color):
    return ground_truth.score(truth, baselines.painted(mesh, np.array(color)))


def test_floors_cover_the_silhouette(truth):
    picture = truth.picture(192)
    made = baselines.floors(picture, truth.pose)
    assert set(made) == {"sphere", "box", "inflated"}
    for name, floor in made.items():
        facts = measure(floor.mesh)
        assert facts["watertight"], name
        assert facts["volume"] > 0, name
    assert ground_truth.score(truth, made["sphere"])["f02"] > 0.99
    blown_up = ground_truth.score(truth, made["inflated"])
    assert blown_up["silhouette_iou"] > 0.97
    assert blown_up["f02"] > 0.97, "a ball is its own silhouette, inflated"
    seen = raycasting.render(made["box"], truth.pose, 192)[..., 3] > 0.5
    rows, columns = np.nonzero(picture[..., 3] > 0.5)
    box_rows, box_columns = np.nonzero(seen)
    for mine, box in ((rows, box_rows), (columns, box_columns)):
        assert abs(mine.min() - box.min()) <= 1
        assert abs(mine.max() - box.max()) <= 1


def test_floors_follow_an_off_center_silhouette_under_a_high_camera():
    pose = camera.camera_to_world(35.0, 0.0)
    mask = np.zeros((128, 128), bool)
    mask[20:50, 30:110] = True
    for shape in (baselines.sphere, baselines.box, baselines.inflated):
        solid = shape(mask, pose)
        seen, depth = camera.project(solid.vertices.astype(float), pose, 128)
        assert measure(solid)["volume"] > 0
        assert (depth > 0.5).all()
        np.testing.assert_allclose((seen.min(0) + seen.max(0)) / 2, (70, 35), atol=1.5)
    seen, _ = camera.project(baselines.box(mask, pose).vertices.astype(float), pose, 128)
    np.testing.assert_allclose([seen.min(0), seen.max(0)], [(30, 20), (110, 50)], atol=0.1)
    seen, _ = camera.project(baselines.inflated(mask, pose).vertices.astype(float), pose, 128)
    np.testing.assert_allclose([seen.min(0), seen.max(0)], [(30, 20), (110, 50)], atol=1.5)

"""Metrics, in cases whose results are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trimesh

from backend.data_types import Mesh
from benchmark import metrics
from benchmark.baselines import single_color
from benchmark.surface_points import face_normals, sample_surface, visible


def mesh_of(solid, offset=(0, 0, 0)):
    return Mesh((solid.vertices + offset).astype(np.float32), solid.faces.astype(np.int32))


def ball(radius=0.5, offset=(0, 0, 0)):
    return mesh_of(trimesh.creation.icosphere(subdivisions=5, radius=radius), offset)


def cube(extents=(1, 1, 1), offset=(0, 0, 0)):
    return mesh_of(trimesh.creation.box(extents), offset)


EYE = np.array([0, -3.0, 0])


def compare(true, predicted, eye=EYE, true_color=0.5, predicted_color=0.5):
    """A prediction in one gray against a true mesh in another."""
    at = sample_surface(true, metrics.SAMPLES)
    normals = face_normals(true, at.faces)
    colors = np.full_like(at.points, true_color)
    unit = float(np.ptp(true.vertices, axis=0).max())
    reference = metrics.ReferenceSurface(at.points, normals, colors, visible(true, at.points, normals, eye), unit)
    return reference.compare(single_color(predicted, np.full(3, predicted_color)))


def test_samples_lie_evenly_on_the_surface():
    box = cube((1, 2, 4))
    at = sample_surface(box, 28_000)
    inside = np.abs(at.points) - np.array([0.5, 1, 2])
    np.testing.assert_allclose(inside.max(-1), 0, atol=1e-6)
    on_top = face_normals(box, at.faces)[:, 2] > 0.9
    assert abs(on_top.sum() / 28_000 - 2 / 28) < 0.005
    np.testing.assert_allclose(at.points[on_top].mean(0), (0, 0, 2), atol=0.03)
    corners = box.vertices[box.faces[at.faces]]
    np.testing.assert_allclose(np.einsum("pc,pcd->pd", at.weights, corners), at.points, atol=1e-6)
    np.testing.assert_array_equal(at.points, sample_surface(box, 28_000).points)


def test_metrics_of_a_perfect_prediction_are_perfect():
    result = compare(ball(), ball())
    assert result["f05"] == result["f02"] == result["f10"] == 1
    assert result["chamfer"] < 0.003
    assert result["normal_consistency"] > 0.999
    assert metrics.volume_iou(ball(), ball()) == 1


def test_chamfer_of_concentric_balls_is_their_gap_at_any_scale():
    for scale in (1, 7):
        result = compare(ball(0.5 * scale), ball(0.47 * scale), EYE * scale)
        assert abs(result["chamfer"] - 0.03) < 0.001
        assert result["f02"] == 0
        assert result["f05"] == result["f10"] == 1


def test_recall_halves_without_half_of_the_object():
    both = trimesh.util.concatenate([trimesh.creation.box((1, 1, 1)).apply_translation((x, 0, 0)) for x in (-2, 2)])
    result = compare(mesh_of(both), cube(offset=(2, 0, 0)), EYE * 5)
    assert abs(result["f05"] - 2 / 3) < 0.005
    assert abs(result["recall_visible_05"] - 0.5) < 0.01


def test_recall_of_the_hidden_side_is_reported_apart():
    true = ball()
    half = Mesh(true.vertices, true.faces[true.vertices[true.faces].mean(1)[:, 1] < 0.05])
    result = compare(true, half)
    assert result["recall_visible_02"] > 0.99
    assert 0.1 < result["recall_hidden_02"] < 0.3


def test_visible_points_face_the_eye_unobstructed():
    true = ball()
    at = sample_surface(true, 20_000)
    seen = visible(true, at.points, face_normals(true, at.faces), EYE)
    assert np.mean(seen == (at.points[:, 1] < -0.5 * 0.5 / 3)) > 0.995
    table = trimesh.util.concatenate([trimesh.creation.box((2, 2, 0.1)), trimesh.creation.box((0.2, 0.2, 1))])
    below = np.array([[0.5, 0.5, -0.05], [0.5, 0.5, 0.05], [0.5, -1, 0]])
    up = np.array([[0, 0, -1.0], [0, 0, 1], [0, -1, 0]])
    np.testing.assert_array_equal(visible(mesh_of(table), below, up, np.array([0, -3, 3])), [False, True, True])


def test_either_side_of_a_sheet_is_visible():
    sheet = Mesh(np.array([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], np.float32), np.array([[0, 1, 2]], np.int32))
    point, normal = np.zeros((1, 3)), np.array([[0, -1.0, 0]])
    assert visible(sheet, point, normal, EYE).all()
    assert visible(sheet, point, normal, -EYE).all()


@pytest.mark.parametrize(("true", "predicted", "error"), [(0.5, 0.5, 0), (0.2, 0.6, 0.4), (1, 0, 1)])
def test_error_of_colors_is_their_root_mean_square(true, predicted, error):
    result = compare(ball(), ball(0.4), true_color=true, predicted_color=predicted)
    assert result["color_visible"] == pytest.approx(error, abs=0.003)
    assert result["color_hidden"] == pytest.approx(error, abs=0.003)


def test_torn_pixels_are_holes_where_the_truth_is_solid():
    solid, holed, notched = np.zeros((3, 12, 12), bool)
    for silhouette in (solid, holed, notched):
        silhouette[1:11, 1:11] = True
    holed[4:7, 4:6] = False
    notched[1:5, 4:6] = False  # open at the rim: a wrong outline, not a hole
    assert metrics.torn_pixels(np.stack([solid] * 3), np.stack([solid, holed, notched])) == 6 / 3
    assert metrics.torn_pixels(holed[None], holed[None]) == 0, "the handle of a mug"
    assert metrics.torn_pixels(holed[None], solid[None]) == 0
    assert metrics.torn_pixels(np.zeros_like(solid)[None], holed[None]) == 0, "outside the object"


def test_volume_iou():
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


def test_psnr_and_mask_iou():
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

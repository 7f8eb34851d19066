"""The ground truth of a ball, and the baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from backend import camera
from backend.meshing.measurement import measure
from backend.rendering import raycasting
from benchmark import baselines
from benchmark.baselines import make_baselines, single_color
from benchmark.ground_truth import GroundTruth
from benchmark.shapes import ProceduralShape


@dataclass(frozen=True)
class BallScene:
    """A ball, red where x > 0 and green elsewhere, lit from above."""

    name = "ball"
    family = "ball"
    group = "seed"
    radius: float = 0.4
    elevation: float = 20.0
    half_side: float = 0.6
    light = np.array([0, 0, 1, 0.5])

    def distance(self, points):
        return (np.linalg.norm(points, axis=-1) - self.radius).astype(np.float32)

    def color(self, points):
        return np.where(points[:, :1] > 0, np.float32([[0.9, 0.1, 0.1]]), np.float32([[0.1, 0.8, 0.1]]))


@pytest.fixture(scope="module")
def truth():
    return GroundTruth(ProceduralShape(BallScene(), 96), view_size=64)


def test_true_mesh_is_the_scenes(truth):
    np.testing.assert_allclose(np.linalg.norm(truth.shape.mesh.vertices, axis=-1), 0.4, atol=1e-3)
    facts = measure(truth.shape.mesh)
    assert facts["watertight"]
    assert abs(facts["volume"] - 4 / 3 * math.pi * 0.4**3) < 1e-3


def test_input_image_shows_the_scene_and_its_light(truth):
    image = truth.picture(size=128)
    radius = 128 * camera.FOCAL * math.tan(math.asin(0.4 / camera.RADIUS))
    assert abs(image[..., 3].sum() - math.pi * radius**2) < 0.01 * math.pi * radius**2
    assert image[64, 80, 0] > image[64, 80, 1]
    assert image[64, 48, 0] < image[64, 48, 1]
    assert image[30, 80, 0] > image[100, 80, 0], "lit from above"


def test_novel_views_are_split_by_what_the_input_camera_sees(truth):
    views = truth.novel_views
    visible, hidden = views.visible, views.hidden
    assert views.poses.shape == (24, 4, 4)
    assert not (visible & hidden).any()
    # The first view is 15 degrees beside the input, the seventh (k = 6) nearly behind the object.
    assert visible[12].sum() > 5 * hidden[12].sum()
    assert hidden[18].sum() > 5 * visible[18].sum()
    np.testing.assert_array_equal(views.images[~(visible | hidden)], 1)


def test_gray_true_mesh_has_perfect_geometry_and_wrong_colors(truth):
    exact = truth.evaluate(single_color(truth.shape.mesh, np.array((0.5, 0.5, 0.5))))
    assert exact["f02"] == 1
    assert exact["volume_iou"] == 1
    assert exact["silhouette_iou"] == 1
    assert 5 < exact["psnr"] < 25
    assert 0.1 < exact["color_visible"] < 0.5
    assert 0.1 < exact["color_hidden"] < 0.5
    assert (exact["torn_pixels"], exact["genus"], truth.shape.genus) == (0, 0, 0)


def test_baselines_cover_the_silhouette(truth):
    image = truth.picture(size=192)
    meshes = make_baselines(image, truth.pose)
    assert set(meshes) == {"sphere", "box", "inflated"}
    for name, baseline in meshes.items():
        facts = measure(baseline.mesh)
        assert facts["watertight"], name
        assert facts["volume"] > 0, name
    assert truth.evaluate(meshes["sphere"])["f02"] > 0.99
    inflated = truth.evaluate(meshes["inflated"])
    assert inflated["silhouette_iou"] > 0.97
    assert inflated["f02"] > 0.97, "a ball is its own silhouette, inflated"
    box_mask = raycasting.render(meshes["box"], truth.pose[None], 192)[0, ..., 3] > 0.5
    rows, columns = np.nonzero(image[..., 3] > 0.5)
    box_rows, box_columns = np.nonzero(box_mask)
    for expected, actual in ((rows, box_rows), (columns, box_columns)):
        assert abs(expected.min() - actual.min()) <= 1
        assert abs(expected.max() - actual.max()) <= 1


def test_baselines_fit_an_off_center_silhouette_from_a_high_camera():
    pose = camera.camera_to_world(35.0, 0.0)
    mask = np.zeros((128, 128), bool)
    mask[20:50, 30:110] = True
    for make in (baselines.sphere, baselines.box, baselines.inflated):
        solid = make(mask, pose)
        pixels, depth = camera.project(solid.vertices.astype(float), pose, 128)
        assert measure(solid)["volume"] > 0
        assert (depth > 0.5).all()
        np.testing.assert_allclose((pixels.min(0) + pixels.max(0)) / 2, (70, 35), atol=1.5)
    pixels, _ = camera.project(baselines.box(mask, pose).vertices.astype(float), pose, 128)
    np.testing.assert_allclose([pixels.min(0), pixels.max(0)], [(30, 20), (110, 50)], atol=0.1)
    pixels, _ = camera.project(baselines.inflated(mask, pose).vertices.astype(float), pose, 128)
    np.testing.assert_allclose([pixels.min(0), pixels.max(0)], [(30, 20), (110, 50)], atol=1.5)

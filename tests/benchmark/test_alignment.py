"""Predictions in the ground truth's world frame."""

from __future__ import annotations

import numpy as np

from backend import camera
from backend.data_types import Mesh
from benchmark.alignment import prediction_to_world, transformed
from benchmark.baselines import single_color
from benchmark.ground_truth import GroundTruth
from benchmark.shapes import ProceduralShape
from tests.helpers.ball_scene import ball_scene


def test_alignment_corrects_a_wrong_elevation():
    truth = GroundTruth(ProceduralShape(ball_scene(translation=(0.05, 0.0, 0.1)), 64), view_size=64)
    assumed = camera.camera_to_world(90.0 - 50.0, 0.0)
    rotation = assumed.astype(float) @ np.linalg.inv(truth.pose.astype(float))
    mistaken = transformed(single_color(truth.shape.mesh, np.full(3, 0.5)), rotation)
    assert truth.evaluate(mistaken)["f05"] < 0.9
    to_world = prediction_to_world(assumed, truth.pose, (0, 0, 512), 512)
    assert truth.evaluate(transformed(mistaken, to_world))["f02"] == 1


def test_alignment_returns_a_small_object_to_its_position_in_the_image():
    truth = GroundTruth(ProceduralShape(ball_scene(radius=0.3, translation=(0.06, 0.0, -0.04)), 96), view_size=64)
    rows, columns = np.nonzero(truth.picture(size=256)[..., 3] > 0.5)
    side = (np.ptp(columns) + 1) / 0.75
    canvas = (columns.mean() + 0.5 - side / 2, rows.mean() + 0.5 - side / 2, side)
    radius = camera.RADIUS * np.sin(np.arctan(0.375 / camera.FOCAL))
    vertices = (truth.shape.mesh.vertices - np.float32((0.06, 0, -0.04))) * np.float32(radius / 0.3)
    filling = single_color(Mesh(vertices, truth.shape.mesh.faces), np.full(3, 0.5))
    aligned = transformed(filling, prediction_to_world(truth.pose, truth.pose, canvas, 256))
    result = truth.evaluate(aligned)
    assert truth.evaluate(filling)["silhouette_iou"] < 0.65
    assert result["silhouette_iou"] > 0.92
    assert result["f05"] > 0.95

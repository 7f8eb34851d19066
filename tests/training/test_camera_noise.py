"""Cameras as they are estimated, not as they are."""

from __future__ import annotations

import numpy as np
import torch

from backend import camera
from training import camera_noise
from training.camera_noise import axis_angle_to_matrix, perturb_cameras, sample_elevation_errors, turn_points


def test_an_elevation_estimated_too_high_is_the_camera_that_is_higher(monkeypatch):
    monkeypatch.setattr(camera_noise, "ROTATION_NOISE_DEG", 0.0)
    elevations, azimuths = np.float64([[10, 30, -5], [0, 60, 20]]), np.float64([[0, 100, 220], [0, 30, 300]])
    error = np.float64([[4], [-7]])
    true, estimated = (
        torch.from_numpy(camera.camera_to_world(90 - each, azimuths)) for each in (elevations, elevations + error)
    )
    delta = torch.from_numpy(np.radians(error[:, 0])).float()
    torch.testing.assert_close(perturb_cameras(true, delta), estimated, atol=1e-6, rtol=0)
    # What the input camera sees does not change where it is seen: the world turns with the camera.
    point = torch.tensor([0.1, -0.2, 0.3])
    turned = turn_points(point.expand(2, 1, 3), delta)[0, 0]
    before, after = (
        pose[0, 0, :3, :3].T @ (at - pose[0, 0, :3, 3]) for pose, at in ((true, point), (estimated, turned))
    )
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_the_rotation_by_a_vector_is_its_matrix_exponential():
    x, y, z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(5)
    generator = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(5, 3, 3)
    expected = torch.linalg.matrix_exp(generator)
    torch.testing.assert_close(axis_angle_to_matrix(torch.stack([x, y, z], -1)), expected, atol=1e-5, rtol=0)
    assert torch.equal(axis_angle_to_matrix(torch.zeros(3)), torch.eye(3))


def test_half_of_the_elevations_are_wrong_by_as_much_as_was_measured():
    torch.manual_seed(0)
    errors = torch.rad2deg(sample_elevation_errors(40_000, 4.3, torch.device("cpu")))
    wrong = errors[errors != 0]
    assert 0.48 < len(wrong) / len(errors) < 0.52
    assert 2.8 < wrong.abs().median() < 3.2 and 9 < wrong.abs().quantile(0.9) < 11
    assert abs(wrong.mean()) < 0.2

"""What the surface network is taught, and the cameras it is shown."""

from __future__ import annotations

import numpy as np
import torch

from backend import camera
from procedural import triton_renderer
from procedural.families.materials import solid
from procedural.families.primitives import ellipsoid, to_rows
from procedural.schema import IDENTITY_TRANSFORM, Operation
from training import surface_loss
from training.surface_loss import turn


def test_points_of_supervision_lie_evenly_over_the_surface_inside_and_outside(monkeypatch):
    """Of a hollow ball: the inside has a fifth of the area, and far less of the space around it."""
    gray = solid((0.5, 0.5, 0.5))
    rows = to_rows([ellipsoid((0, 0, 0), 0.4, gray), ellipsoid((0, 0, 0), 0.2, gray, op=Operation.SUBTRACT)])
    ball = triton_renderer.from_numpy([(rows, np.float32(IDENTITY_TRANSFORM), np.float32([0, 0, 1, 0.5]))], "cpu")
    monkeypatch.setattr(surface_loss, "POINTS", 3072)
    monkeypatch.setattr(triton_renderer, "BLOCK", 4096)  # the interpreter takes as long for more at once
    torch.manual_seed(0)
    points, distance, _, on_surface = surface_loss.draw_points(ball, 0.6)
    assert points.shape == (1, 4096, 3)
    assert on_surface.sum() > 1000
    assert distance[:, :1024].abs().max() < 1e-3
    radius = points[on_surface].norm(dim=-1)
    assert 0.16 < (radius < 0.3).float().mean() < 0.24


def test_a_camera_judged_too_high_is_the_camera_that_stands_higher(monkeypatch):
    monkeypatch.setattr(surface_loss, "JITTER", 0.0)
    elevations, azimuths = np.float64([[10, 30, -5], [0, 60, 20]]), np.float64([[0, 100, 220], [0, 30, 300]])
    error = np.float64([[4], [-7]])
    true, judged = (
        torch.from_numpy(camera.camera_to_world(90 - each, azimuths)) for each in (elevations, elevations + error)
    )
    delta = torch.from_numpy(np.radians(error[:, 0])).float()
    torch.testing.assert_close(surface_loss.misjudge(true, delta), judged, atol=1e-6, rtol=0)
    # what the input camera sees does not change where it is seen: the world turns with the camera
    point = torch.tensor([0.1, -0.2, 0.3])
    turned = surface_loss.turn(torch.tensor([-delta[0], 0, 0])) @ point
    before, after = (pose[0, 0, :3, :3].T @ (at - pose[0, 0, :3, 3]) for pose, at in ((true, point), (judged, turned)))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_turning_by_a_vector_is_its_matrix_exponential():
    x, y, z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    nought = torch.zeros(5)
    generator = torch.stack([nought, -z, y, z, nought, -x, -y, x, nought], -1).view(5, 3, 3)
    torch.testing.assert_close(turn(torch.stack([x, y, z], -1)), torch.linalg.matrix_exp(generator), atol=1e-5, rtol=0)
    assert torch.equal(turn(torch.zeros(3)), torch.eye(3))

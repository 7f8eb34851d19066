"""Cameras as they are estimated, not as they are."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from backend.camera import RADIUS

ROTATION_NOISE_DEG = 1.2
"""By about how many degrees every camera but the first is turned, in half of the samples."""
NOISY_SHARE = 0.5
"""Share of the samples whose elevation is wrong."""


def axis_angle_to_matrix(vectors: torch.Tensor) -> torch.Tensor:
    """Rotations (..., 3, 3) about axes (..., 3), whose lengths are the angles in radians (Rodrigues' formula)."""
    angle = vectors.norm(dim=-1)[..., None, None].clamp_min(1e-8)
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3)) / angle
    return torch.eye(3, device=vectors.device) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross


def sample_elevation_errors(count: int, scale_deg: float, device: torch.device) -> torch.Tensor:
    """Errors (count,) in radians of estimated elevations: zero for some samples, else from a Laplace distribution.

    With a scale of 4.3 degrees their median is 3 degrees, and one in ten is above 10, as measured.
    """
    uniform = torch.rand(count, device=device) - 0.5
    errors = -uniform.sign() * torch.log1p(-2 * uniform.abs().clamp_max(0.4995)) * math.radians(scale_deg)
    return errors * (torch.rand(count, device=device) < NOISY_SHARE)


def perturb_cameras(cameras: torch.Tensor, elevation_error: torch.Tensor) -> torch.Tensor:
    """Cameras (B, V, 4, 4) as they are taken to be: raised by ``elevation_error`` (B,) radians, and turned a little.

    The input camera is what everything is measured from. Where its elevation is estimated too high, the world that the
    network works in is the true one turned about x: see ``turn_points``.
    """
    batch, views = cameras.shape[:2]
    axis = torch.randn(batch, views, 3, device=cameras.device) * math.radians(ROTATION_NOISE_DEG) / math.sqrt(3)
    axis[:, 0] = 0
    axis = axis * (torch.rand(batch, 1, 1, device=cameras.device) < 0.5)
    raised = F.pad(-elevation_error[:, None, None], (0, 2))  # about the camera's own x axis
    rotation = axis_angle_to_matrix(axis) @ cameras[..., :3, :3] @ axis_angle_to_matrix(raised)
    return torch.cat([torch.cat([rotation, RADIUS * rotation[..., 2:]], -1), cameras[..., 3:, :]], -2)


def turn_points(points: torch.Tensor, elevation_error: torch.Tensor) -> torch.Tensor:
    """World points (B, N, 3) where they are in the world of ``perturb_cameras``."""
    return points @ axis_angle_to_matrix(F.pad(-elevation_error[:, None], (0, 2))).transpose(1, 2)

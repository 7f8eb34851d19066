"""What the surface network is taught: exact distances, colors and depths; the cameras it sees are a little wrong."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from backend.camera import RADIUS
from procedural.triton_depth import BEYOND
from procedural.triton_renderer import Scenes
from training.surface_model import CONFIG

TRUNCATION = 0.1
POINTS = 12288
"""Points near the surface of every scene, and a third as many anywhere."""
TRIES = 4
"""Random points among which the nearest to the surface are chosen, for each of those. Sliding any point down to the
surface would favor what has most space around it, and hardly reach the inside of a narrow vessel."""
JITTER = 1.2
"""By about how many degrees every camera but the first is turned, in half of the samples."""


def turn(vectors: torch.Tensor) -> torch.Tensor:
    """Rotations (..., 3, 3) about axes (..., 3), whose lengths are the angles in radians (Rodrigues' formula)."""
    angle = vectors.norm(dim=-1)[..., None, None].clamp_min(1e-8)
    x, y, z = vectors.unbind(-1)
    nought = torch.zeros_like(x)
    cross = torch.stack([nought, -z, y, z, nought, -x, -y, x, nought], -1).unflatten(-1, (3, 3)) / angle
    return torch.eye(3, device=x.device) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross


def misjudge(cameras: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Cameras (B, V, 4, 4) as they are taken to stand: ``delta`` (B,) radians too high, and turned by the jitter."""
    batch, views = cameras.shape[:2]
    axis = torch.randn(batch, views, 3, device=cameras.device) * math.radians(JITTER) / math.sqrt(3)
    axis[:, 0] = 0
    axis = axis * (torch.rand(batch, 1, 1, device=cameras.device) < 0.5)
    lift = F.pad(-delta[:, None, None], (0, 2))  # about the camera's own x axis
    rotation = turn(axis) @ cameras[..., :3, :3] @ turn(lift)
    return torch.cat([torch.cat([rotation, RADIUS * rotation[..., 2:]], -1), cameras[..., 3:, :]], -2)


def draw_points(scenes: Scenes, half_side: float) -> tuple[torch.Tensor, ...]:
    """Supervision of a batch of scenes: points (B, N, 3), distances (B, N), colors (B, N, 3), whether on it (B, N)."""
    device, batch = scenes.rows.device, len(scenes)
    points = (torch.rand(batch, TRIES * POINTS, 3, device=device) * 2 - 1) * half_side
    nearest = scenes.distance(points).abs().topk(POINTS, largest=False, sorted=False).indices
    nearest = nearest.gather(1, torch.rand(batch, POINTS, device=device).argsort(1))  # in no order: a third stays on it
    points = points.gather(1, nearest[..., None].expand(-1, -1, 3))
    step = 2e-3
    for _ in range(2):  # slide down the gradient onto the surface
        taps = points.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * step
        around = (points[:, :, None] + taps).flatten(1, 2)
        tap = scenes.distance(around).unflatten(1, (-1, 4))
        normal = F.normalize((tap[..., None] * taps).sum(2), dim=-1)
        points = points - normal * scenes.distance(points)[..., None]
    points = points.clamp(-half_side, half_side)
    spread = torch.where(torch.rand(batch, POINTS, 1, device=device) < 0.5, 0.006, 0.03)
    spread[:, : POINTS // 3] = 0
    points = (points + torch.randn_like(points) * spread).clamp(-half_side, half_side)
    free = (torch.rand(batch, POINTS // 3, 3, device=device) * 2 - 1) * half_side
    everywhere = torch.cat([points, free], 1)
    distance, albedo = scenes.distance(everywhere, color=True)
    light = scenes.light[:, None]
    lit = 0.75 * (normal * light[..., :3]).sum(-1).clamp_min(0) + 0.25 * (0.5 + 0.5 * normal[..., 2])
    shade = light[..., 3] + (1 - light[..., 3]) * lit
    shade = F.pad(shade, (0, POINTS // 3), value=0.8)
    on_surface = distance.abs() < 4e-3
    on_surface[:, POINTS // 3 :] = False
    return everywhere, distance, (albedo * shade[..., None]).clamp(0, 1), on_surface


def loss_of(
    network: nn.Module,
    scenes: Scenes,
    pictures: torch.Tensor,
    cameras: torch.Tensor,
    depths: torch.Tensor,
    wrong: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss, and the distance error near the surface of every scene (B,).

    ``wrong``: spread of the misjudged elevation in degrees.

    ``network`` answers as ``OnePassNetwork`` does; the rest is a draw from ``surface_store.Store``.

    Where the elevation is judged ``delta`` too high the world the network works in is the true one turned by ``delta``
    about x, because the input camera is where everything is measured from.
    """
    batch = len(pictures)
    points, distance, color, on_surface = draw_points(scenes, CONFIG["half_side"])
    delta = torch.randn(batch, device=points.device) * math.radians(wrong)
    delta = delta * (torch.rand(batch, device=points.device) < 0.5)
    judged = points @ turn(F.pad(-delta[:, None], (0, 2))).transpose(1, 2)
    gain = 1 + 0.1 * torch.randn(batch, pictures.shape[1], 3, 1, 1, device=points.device)
    gain[:, 0] = 1
    mask = pictures[:, :, 3:]
    lit = (pictures[:, :, :3] - (1 - mask)) * gain + (1 - mask)
    with torch.autocast("cuda", torch.bfloat16):
        found, painted, guessed = network(torch.cat([lit.clamp(0, 1), mask], 2), misjudge(cameras, delta), judged)
    clipped = distance.clamp(-TRUNCATION, TRUNCATION)
    error = (found.clamp(-1.5 * TRUNCATION, 1.5 * TRUNCATION) - clipped).abs()
    sign = F.softplus(-found * distance.sign() / 0.01)
    near = error[:, :POINTS].mean(1)
    color_error = ((painted - color).abs().mean(-1) * on_surface).sum() / on_surface.sum().clamp_min(1)
    wanted = depths[:, : guessed.shape[1]].float()
    depth_error = (guessed.float().unflatten(-1, (-1, 2)) - wanted[..., None, :]).abs().mean((-2, -1))
    depth_error = (depth_error * torch.where(wanted[..., 0] < BEYOND, 1.0, 0.1)).mean()
    distance_error = 10 * near.mean() + 5 * error[:, POINTS:].mean() + 0.05 * sign.mean()
    return distance_error + 0.5 * color_error + depth_error, near.detach()

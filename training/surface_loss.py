"""The surface network's loss: exact distances, their slopes, colors and depths."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from procedural.triton_depth import BEYOND
from training.back_projection import FusedSurfaceNetwork
from training.camera_noise import perturb_cameras, sample_elevation_errors, turn_points
from training.config import SurfaceConfig
from training.supervision import surface_count

TRUNCATION = 0.1
"""Distances beyond this many world units are all the same."""
NEAR_POINTS = 8192
"""Points near the surface, of those stored, in one step; each with its partner."""
FREE_POINTS = 4096
SLOPE_DISTANCE = 0.04
"""Slopes are supervised within this distance of the surface."""
COLOR_DISTANCE = 4e-3
"""Only points within this distance of the surface have a color: a few were not projected onto it."""
GAIN_NOISE = 0.1
"""Standard deviation of the color gains by which views differ from the input."""


@dataclass(frozen=True)
class SurfaceErrors:
    """Each scene's mean errors, detached, (B,)."""

    near: torch.Tensor
    """Of the distances near the surface, in world units."""
    slope: torch.Tensor
    """Of the distances' slopes; 0 is exact, 2 the opposite direction."""


def surface_loss(
    network: FusedSurfaceNetwork, batch: dict[str, torch.Tensor], config: SurfaceConfig, dtype: torch.dtype
) -> tuple[torch.Tensor, SurfaceErrors]:
    """The loss of a batch of ``SurfaceScenes``, seen by cameras that are a little wrong, and its errors."""
    device, count = batch["images"].device, len(batch["images"])
    supervision = _select_points(batch)
    elevation_error = sample_elevation_errors(count, config.elevation_noise_deg, device)
    points = torch.cat([supervision[name] for name in ("near", "partner", "free")], 1)
    predicted, color, depth = network(
        _add_gain_noise(batch["images"].permute(0, 1, 4, 2, 3).float() / 255).to(dtype),
        perturb_cameras(batch["cameras"], elevation_error),
        turn_points(points, elevation_error),
    )
    near = supervision["near"].shape[1]
    true = torch.cat([supervision[f"{name}_distance"] for name in ("near", "partner", "free")], 1)
    clipped = true.clamp(-TRUNCATION, TRUNCATION)
    error = (predicted.clamp(-1.5 * TRUNCATION, 1.5 * TRUNCATION) - clipped).abs()
    near_error = error[:, : 2 * near].mean(1)
    sign_error = F.softplus(-predicted * true.sign() / 0.01).mean()
    slope_error = _slope_error(points[:, : 2 * near], predicted[:, : 2 * near], true[:, : 2 * near])
    loss = (
        10 * near_error.mean()
        + 5 * error[:, 2 * near :].mean()
        + 0.05 * sign_error
        + config.gradient_loss_weight * slope_error.mean()
        + 0.5 * _color_error(color, supervision)
        + _depth_error(depth.float(), batch["depths"].float())
    )
    return loss, SurfaceErrors(near_error.detach(), slope_error.detach())


def _select_points(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Some of each scene's stored points, the same of all; a third of those near the surface lie on it."""
    stored, free, device = batch["near"].shape[1], batch["free"].shape[1], batch["near"].device
    wanted = min(NEAR_POINTS, stored)
    on_surface = surface_count(stored)
    chosen = torch.randperm(on_surface, device=device)[: surface_count(wanted)]
    rest = on_surface + torch.randperm(stored - on_surface, device=device)[: wanted - len(chosen)]
    selected = {"color": batch["color"][:, chosen]}
    for name in ("near", "near_distance", "partner", "partner_distance"):
        selected[name] = batch[name][:, torch.cat([chosen, rest])]
    anywhere = torch.randperm(free, device=device)[:FREE_POINTS]
    return selected | {name: batch[name][:, anywhere] for name in ("free", "free_distance")}


def _add_gain_noise(images: torch.Tensor) -> torch.Tensor:
    """Images (B, V, 4, S, S) on white, with other colors in every view but the first."""
    gain = 1 + GAIN_NOISE * torch.randn(*images.shape[:2], 3, 1, 1, device=images.device)
    gain[:, 0] = 1
    mask = images[:, :, 3:]
    color = (images[:, :, :3] - (1 - mask)) * gain + (1 - mask)
    return torch.cat([color.clamp(0, 1), mask], 2)


def _slope_error(points: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean error (B,) of the slopes between points and their partners, (B, 2 N, 3) one half after the other."""
    first, partner = points.chunk(2, 1)
    change = torch.sub(*predicted.chunk(2, 1)) - torch.sub(*true.chunk(2, 1))
    is_near = true[:, : first.shape[1]].abs() < SLOPE_DISTANCE
    error = change.abs() / (partner - first).norm(dim=-1).clamp_min(1e-6)
    return (error * is_near).sum(1) / is_near.sum(1).clamp_min(1)


def _color_error(color: torch.Tensor, supervision: dict[str, torch.Tensor]) -> torch.Tensor:
    true = supervision["color"].float()
    is_colored = supervision["near_distance"][:, : true.shape[1]].abs() < COLOR_DISTANCE
    error = (color[:, : true.shape[1]] - true).abs().mean(-1)
    return (error * is_colored).sum() / is_colored.sum().clamp_min(1)


def _depth_error(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Of depths (B, L, S, S, depths) of the first L views: half of the features predict entries, half exits."""
    true = true[:, : predicted.shape[1]]
    error = (predicted.unflatten(-1, (-1, 2)) - true[..., None, :]).abs().mean((-2, -1))
    return (error * torch.where(true[..., 0] < BEYOND, 1.0, 0.1)).mean()

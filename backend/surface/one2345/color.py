"""Colors blended from all source views by learned weights (after IBRNet, arXiv 2102.13090); no test of occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from .volume import sample

FEATURES = 3 + 56
"""Channels of a view's feature: its color and its fused map."""


@dataclass(frozen=True)
class Sources:
    """What colors are blended from: the views of one object and what the network made of them."""

    images: torch.Tensor
    """(N, 3, S, S) in 0..1."""
    maps: torch.Tensor
    """(N, 56, S, S)."""
    volume: torch.Tensor
    """(16, R, R, R)."""
    mask: torch.Tensor
    """(R, R, R) bool: voxels that at least two views see."""
    projections: torch.Tensor
    """(N, 4, 4)."""
    cameras: torch.Tensor
    """(N, 3): where the cameras stand."""


@dataclass(frozen=True)
class Gathered:
    """What the blending network sees of P points in N views."""

    geometry: torch.Tensor
    """(P, 16)."""
    features: torch.Tensor
    """(N, P, 59), the color first."""
    directions: torch.Tensor
    """(N, P, 4): unit difference of the target's and the view's direction, and their cosine."""
    valid: torch.Tensor
    """(N, P) bool: inside the seen part of the cube and inside the view's frame."""


def gather(sources: Sources, points: torch.Tensor, target: torch.Tensor) -> Gathered:
    """``points`` (P, 3) normalized; ``target`` (P, 3): the direction that the color is wanted for, outwards."""
    inside = (points.abs() < 1).all(1) & (sample(sources.mask[None].float(), points)[:, 0] > 0)
    projected = points @ sources.projections[:, :3, :3].mT + sources.projections[:, None, :3, 3]
    plane = projected[..., :2] / projected[..., 2:].clamp_min(1e-3) * (2 / (sources.images.shape[-1] - 1)) - 1
    plane = torch.where(plane.abs() <= 1, plane, torch.full_like(plane, 2.0))  # outside, where samples are zero
    features = [
        F.grid_sample(each, plane[:, None], align_corners=True)[:, :, 0] for each in (sources.images, sources.maps)
    ]
    towards = sources.cameras[:, None] - points
    towards = towards / (towards.norm(dim=-1, keepdim=True) + 1e-6)
    difference = target - towards
    difference = difference / difference.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    cosine = (target * towards).sum(-1, keepdim=True)
    return Gathered(
        sample(sources.volume, points),
        torch.cat(features, 1).mT,
        torch.cat([difference, cosine], -1),
        inside & (plane.abs() < 1).all(-1),
    )


class ColorNetwork(nn.Module):
    """Gathered points -> colors (P, 3)."""

    def __init__(self):
        super().__init__()
        self.s = nn.Parameter(torch.tensor(0.2))
        self.ray_dir_fc = nn.Sequential(nn.Linear(4, 16), nn.ELU(), nn.Linear(16, FEATURES), nn.ELU())
        self.base_fc = nn.Sequential(nn.Linear(16 + 3 * FEATURES, 64), nn.ELU(), nn.Linear(64, 32), nn.ELU())
        self.vis_fc = nn.Sequential(nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 33), nn.ELU())
        self.vis_fc2 = nn.Sequential(nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 1), nn.Sigmoid())
        self.rgb_fc = nn.Sequential(nn.Linear(37, 16), nn.ELU(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 1))

    def forward(self, gathered: Gathered) -> torch.Tensor:
        valid = gathered.valid[..., None].float()
        features = gathered.features + self.ray_dir_fc(gathered.directions)
        nearness = torch.exp(self.s.abs() * (gathered.directions[..., 3:] - 1))
        weight = (nearness - nearness.amin(0)) * valid
        weight = weight / (weight.sum(0) + 1e-8)
        mean = (weight * features).sum(0)
        variance = (weight * (features - mean).square()).sum(0)
        common = torch.cat([gathered.geometry, mean, variance], 1).expand(len(features), -1, -1)
        state = self.base_fc(torch.cat([common, features], -1))
        change, visible = self.vis_fc(state * weight).split([32, 1], -1)
        visible = torch.sigmoid(visible) * valid  # of an ELU's answer: so it was trained
        state = state + change
        visible = self.vis_fc2(state * visible) * valid
        score = self.rgb_fc(torch.cat([state, visible, gathered.directions], -1))
        score = score.masked_fill(valid == 0, -1e9)
        return (torch.softmax(score, 0) * gathered.features[..., :3]).sum(0)

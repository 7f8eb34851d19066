"""Colors blended from all source views by learned weights (after IBRNet, arXiv 2102.13090); occlusion is not tested."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from .features import Pyramid, sample_fused
from .volume import sample

FEATURES = 3 + 56
"""Channels of a view's feature: its color and what its fused feature map would have there."""


@dataclass(frozen=True)
class SourceViews:
    """What colors are blended from: N views of one object and what the network computed from them."""

    images: torch.Tensor
    """(N, 3, S, S) in 0..1."""
    pyramid: Pyramid
    """Their features."""
    volume: torch.Tensor
    """(16, R, R, R)."""
    mask: torch.Tensor
    """(R, R, R) bool: voxels that at least two views see."""
    projections: torch.Tensor
    """(N, 4, 4): see ``NormalizedFrame.projections``."""
    camera_centers: torch.Tensor
    """(N, 3) in normalized coordinates."""


@dataclass(frozen=True)
class PointFeatures:
    """The blending network's input: P points in N views."""

    geometry: torch.Tensor
    """(P, 16): the volume's features."""
    features: torch.Tensor
    """(N, P, 59): the views' features, the color first."""
    directions: torch.Tensor
    """(N, P, 4): normalized difference of the target's and the view's direction, and their cosine."""
    valid: torch.Tensor
    """(N, P) bool: in a voxel of the mask and inside the view's frame."""


def gather_point_features(sources: SourceViews, points: torch.Tensor, target: torch.Tensor) -> PointFeatures:
    """``points`` (P, 3) normalized; ``target`` (P, 3): unit directions, outwards, from which the colors are viewed."""
    inside = (points.abs() < 1).all(1) & (sample(sources.mask[None].float(), points)[:, 0] > 0)
    projected = points @ sources.projections[:, :3, :3].mT + sources.projections[:, None, :3, 3]
    plane = projected[..., :2] / projected[..., 2:].clamp_min(1e-3) * (2 / (sources.images.shape[-1] - 1)) - 1
    plane = torch.where(plane.abs() <= 1, plane, torch.full_like(plane, 2.0))  # outside, where samples are zero
    colors = F.grid_sample(sources.images, plane[:, None], align_corners=True)[:, :, 0]
    towards = sources.camera_centers[:, None] - points
    towards = towards / (towards.norm(dim=-1, keepdim=True) + 1e-6)
    difference = target - towards
    difference = difference / difference.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    cosine = (target * towards).sum(-1, keepdim=True)
    return PointFeatures(
        sample(sources.volume, points),
        torch.cat([colors, sample_fused(sources.pyramid, plane)], 1).mT,
        torch.cat([difference, cosine], -1),
        inside & (plane.abs() < 1).all(-1),
    )


class ColorNetwork(nn.Module):
    """Point features -> colors (P, 3)."""

    def __init__(self):
        super().__init__()
        self.s = nn.Parameter(torch.tensor(0.2))
        self.ray_dir_fc = nn.Sequential(nn.Linear(4, 16), nn.ELU(), nn.Linear(16, FEATURES), nn.ELU())
        self.base_fc = nn.Sequential(nn.Linear(16 + 3 * FEATURES, 64), nn.ELU(), nn.Linear(64, 32), nn.ELU())
        self.vis_fc = nn.Sequential(nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 33), nn.ELU())
        self.vis_fc2 = nn.Sequential(nn.Linear(32, 32), nn.ELU(), nn.Linear(32, 1), nn.Sigmoid())
        self.rgb_fc = nn.Sequential(nn.Linear(37, 16), nn.ELU(), nn.Linear(16, 8), nn.ELU(), nn.Linear(8, 1))

    def forward(self, inputs: PointFeatures) -> torch.Tensor:
        valid = inputs.valid[..., None].float()
        features = inputs.features + self.ray_dir_fc(inputs.directions)
        proximity = torch.exp(self.s.abs() * (inputs.directions[..., 3:] - 1))
        weight = (proximity - proximity.amin(0)) * valid
        weight = weight / (weight.sum(0) + 1e-8)
        mean = (weight * features).sum(0)
        variance = (weight * (features - mean).square()).sum(0)
        common = torch.cat([inputs.geometry, mean, variance], 1).expand(len(features), -1, -1)
        state = self.base_fc(torch.cat([common, features], -1))
        residual, visibility = self.vis_fc(state * weight).split([32, 1], -1)
        visibility = torch.sigmoid(visibility) * valid  # a sigmoid after an ELU: it was trained this way
        state = state + residual
        visibility = self.vis_fc2(state * visibility) * valid
        score = self.rgb_fc(torch.cat([state, visibility, inputs.directions], -1))
        score = score.masked_fill(valid == 0, -1e9)
        return (torch.softmax(score, 0) * inputs.features[..., :3]).sum(0)

"""2D features of all source views, which are normalized together (feature pyramid, arXiv 1612.03144)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from .batchnorm import ActivatedBatchNorm

VIEWS_AT_ONCE = 4
"""Views at full size that go together through what does not normalize them: all 32 would need 450 MB."""


class Pyramid(NamedTuple):
    """Features of N views of S x S pixels, which were normalized together."""

    full: torch.Tensor
    """(N, 8, S, S)."""
    half: torch.Tensor
    """(N, 16, S / 2, S / 2)."""
    quarter: torch.Tensor
    """(N, 32, S / 4, S / 4)."""

    def groups(self) -> list[Pyramid]:
        """The same features, ``VIEWS_AT_ONCE`` views at a time."""
        return [Pyramid(*levels) for levels in zip(*(level.split(VIEWS_AT_ONCE) for level in self), strict=True)]


class ConvABN(nn.Module):
    """A convolution without bias, normalized and activated; stride 1 preserves the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = ActivatedBatchNorm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))


class FeatureNetwork(nn.Module):
    """Images (N, 3, S, S) in 0..1, S a multiple of 4 -> their features."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Sequential(ConvABN(3, 8), ConvABN(8, 8))
        self.conv1 = nn.Sequential(ConvABN(8, 16, 5, 2), ConvABN(16, 16), ConvABN(16, 16))
        self.conv2 = nn.Sequential(ConvABN(16, 32, 5, 2), ConvABN(32, 32), ConvABN(32, 32))
        self.toplayer = nn.Conv2d(32, 32, 1)
        self.lat1 = nn.Conv2d(16, 32, 1)
        self.lat0 = nn.Conv2d(8, 32, 1)
        self.smooth1 = nn.Conv2d(32, 16, 3, padding=1)
        self.smooth0 = nn.Conv2d(32, 8, 3, padding=1)

    def forward(self, images: torch.Tensor) -> Pyramid:
        full = self.conv0(images)
        half = self.conv1(full)
        quarter = self.toplayer(self.conv2(half))
        smooth = [self._add_coarse(*levels) for levels in Pyramid(full, half, quarter).groups()]
        return Pyramid(torch.cat([full for full, _ in smooth]), torch.cat([half for _, half in smooth]), quarter)

    def _add_coarse(
        self, full: torch.Tensor, half: torch.Tensor, quarter: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both finer levels, each with what the coarser ones know, in four times as many channels until the end."""
        half = self.lat1(half) + _upsample(quarter, 2)
        return self.smooth0(self.lat0(full) + _upsample(half, 2)), self.smooth1(half)


def fuse(pyramid: Pyramid) -> torch.Tensor:
    """All three levels as one map at full size (N, 56, S, S), the coarsest first."""
    return torch.cat([_upsample(pyramid.quarter, 4), _upsample(pyramid.half, 2), pyramid.full], 1)


def sample_fused(pyramid: Pyramid, plane: torch.Tensor) -> torch.Tensor:
    """The features of ``fuse`` at P places of each view, which are interpolated between pixels (N, 56, P); the fused
    maps, four times as large, are never made.

    ``plane`` (N, P, 2): column and row, -1..1 from the centers of the first pixels to those of the last. Features
    fade to zero within a pixel outside.
    """
    last = pyramid.full.shape[-1] - 1
    place = (plane[:, None] + 1) * (last / 2)
    corner = torch.arange(4, device=plane.device)[:, None]
    corners = place.floor() + torch.stack([corner % 2, corner // 2], -1)
    weights = (1 - (place - corners).abs()).prod(-1) * ((corners >= 0) & (corners <= last)).all(-1)
    # The coarse levels are interpolated at the pixels of the full one first: not the same as at the place itself.
    pixels = corners * (2 / last) - 1
    coarse = [
        F.grid_sample(level, pixels, align_corners=True).mul_(weights[:, None]).sum(2)
        for level in (pyramid.quarter, pyramid.half)
    ]
    fine = F.grid_sample(pyramid.full, plane[:, None], align_corners=True)[:, :, 0]
    return torch.cat([*coarse, fine], 1)


def _upsample(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)

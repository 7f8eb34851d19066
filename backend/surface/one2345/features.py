"""2D features of all source views, which are normalized together (feature pyramid, arXiv 1612.03144)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .batchnorm import ActivatedBatchNorm


class ConvABN(nn.Module):
    """A convolution without bias, normalized and activated; stride 1 preserves the size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = ActivatedBatchNorm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(x))


class FeatureNetwork(nn.Module):
    """Images (N, 3, S, S) in 0..1, S a multiple of 4 -> 8, 16 and 32 features at full, half and quarter size."""

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

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        full = self.conv0(images)
        half = self.conv1(full)
        quarter = self.toplayer(self.conv2(half))
        half = _add_upsampled(self.lat1(half), quarter)
        full = _add_upsampled(self.lat0(full), half)
        return self.smooth0(full), self.smooth1(half), quarter


def fuse(full: torch.Tensor, half: torch.Tensor, quarter: torch.Tensor) -> torch.Tensor:
    """All three sizes of features as one map at full size (N, 56, S, S), the coarsest first."""
    channels = sum(features.shape[1] for features in (full, half, quarter))
    fused = full.new_empty(len(full), channels, *full.shape[2:])
    # View by view, as below: the upsampled features of all views would take as much memory as the result.
    for view, result in enumerate(fused.split(1)):
        torch.cat([_upsample(quarter[[view]], 4), _upsample(half[[view]], 2), full[[view]]], 1, out=result)
    return fused


def _add_upsampled(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """``fine`` (N, C, S, S), with ``coarse`` (N, C, S / 2, S / 2) added to it."""
    for view, result in enumerate(fine.split(1)):
        result += _upsample(coarse[[view]], 2)
    return fine


def _upsample(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)

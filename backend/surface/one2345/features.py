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
        half = _upsample(quarter, 2) + self.lat1(half)
        full = _upsample(half, 2) + self.lat0(full)
        return self.smooth0(full), self.smooth1(half), quarter


def fuse(full: torch.Tensor, half: torch.Tensor, quarter: torch.Tensor) -> torch.Tensor:
    """All three sizes of features as one map at full size (N, 56, S, S), the coarsest first."""
    return torch.cat([_upsample(quarter, 4), _upsample(half, 2), full], 1)


def _upsample(x: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)

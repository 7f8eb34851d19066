"""The sparse 3D U-Net, computed densely: a zero-filled array and a mask of the active sites.

A site is active where at least two views see its voxel. That holds for five sixths of the grid, so a dense convolution
costs hardly more than a sparse one. The sparse semantics (torchsparse 1.4) are preserved: inactive sites contribute
nothing, statistics are over active sites, and downsampling may create sites beyond the grid's upper end.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from .batchnorm import BatchNorm


class SparseConv3d(nn.Module):
    """Weights of a 3 x 3 x 3 sparse convolution: (27, inputs, outputs), x fastest. Arrays are indexed [x, y, z]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(27, inputs, outputs) / (27 * inputs) ** 0.5)

    def same(self, x: torch.Tensor) -> torch.Tensor:
        """Stride 1: (1, C, X, Y, Z) -> the same size; the caller clears inactive sites."""
        return F.conv3d(x, self._dense(4, 3), padding=1)

    def down(self, x: torch.Tensor) -> torch.Tensor:
        """Stride 2: to every second site along each axis, one beyond the end where the side is even."""
        return F.conv3d(_pad_to_odd(x), self._dense(4, 3), stride=2, padding=1)

    def up(self, x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """The transpose of ``down``: back to an array of ``shape``."""
        y = F.conv_transpose3d(x, self._dense(3, 4), stride=2, padding=1)
        return y[..., : shape[-3], : shape[-2], : shape[-1]]

    def _dense(self, first: int, second: int) -> torch.Tensor:
        return self.kernel.unflatten(0, (3, 3, 3)).permute(first, second, 2, 1, 0)


def down_mask(mask: torch.Tensor) -> torch.Tensor:
    """The active sites after ``SparseConv3d.down`` of a mask (X, Y, Z) bool: next to an active site, and not below the
    lowest one along any axis."""
    coarse = F.max_pool3d(_pad_to_odd(mask.float()[None, None]), 3, 2, 1)[0, 0] > 0
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        lowest = int(mask.any(others[1]).any(others[0]).int().argmax())
        coarse.narrow(axis, 0, (lowest + 1) // 2).fill_(False)
    return coarse


def _pad_to_odd(x: torch.Tensor) -> torch.Tensor:
    z, y, x_ = (1 - side % 2 for side in reversed(x.shape[-3:]))
    return F.pad(x, (0, z, 0, y, 0, x_))


class Block(nn.Module):
    """A sparse convolution, normalization over the active sites, and a ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.net = nn.ModuleList([SparseConv3d(inputs, outputs), BatchNorm(outputs)])

    @property
    def _convolution(self) -> SparseConv3d:
        return cast(SparseConv3d, self.net[0])

    def same(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._normalize(self._convolution.same(x), mask)

    def down(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``mask``: the active sites of the result."""
        return self._normalize(self._convolution.down(x), mask)

    def up(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._normalize(self._convolution.up(x, mask.shape), mask)

    def _normalize(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """In ``x`` itself, the convolution's own result: at full size each further array takes 54 MB."""
        rows = x[0, :, mask].T.contiguous()
        x[0, :, mask] = F.relu(self.net[1](rows), inplace=True).T
        return x.masked_fill_(~mask, 0)


class SparseUNet(nn.Module):
    """Features (1, 32, X, Y, Z), zero outside the active sites (X, Y, Z) bool -> (1, 16, X, Y, Z), likewise.

    Four resolutions with additive skip connections.
    """

    def __init__(self):
        super().__init__()
        self.conv0 = Block(32, 16)
        self.conv1, self.conv2 = Block(16, 16), Block(16, 16)
        self.conv3, self.conv4 = Block(16, 32), Block(32, 32)
        self.conv5, self.conv6 = Block(32, 64), Block(64, 64)
        self.conv7, self.conv9, self.conv11 = Block(64, 32), Block(32, 16), Block(16, 16)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        mask2 = down_mask(mask)
        mask4 = down_mask(mask2)
        mask8 = down_mask(mask4)
        level1 = self.conv0.same(x, mask)
        level2 = self.conv2.same(self.conv1.down(level1, mask2), mask2)
        level4 = self.conv4.same(self.conv3.down(level2, mask4), mask4)
        level8 = self.conv6.same(self.conv5.down(level4, mask8), mask8)
        level4 = level4 + self.conv7.up(level8, mask4)
        level2 = level2 + self.conv9.up(level4, mask2)
        return level1 + self.conv11.up(level2, mask)

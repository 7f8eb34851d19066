"""The sparse 3D U-Net, computed densely: a zero-filled array beside a mask of the sites that exist.

Sites are where at least two views see a voxel, five sixths of the grid, so a dense convolution costs hardly more than a
sparse one. What makes it sparse is kept: sites that do not exist contribute nothing, statistics are taken over those
that do, and a step to the next coarser lattice may create sites beyond the grid's upper end (torchsparse 1.4).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .batchnorm import BatchNorm


class Kernel(nn.Module):
    """Weights of a 3 x 3 x 3 sparse convolution: (27, inputs, outputs), x fastest. Arrays are indexed [x, y, z]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(27, inputs, outputs) / (27 * inputs) ** 0.5)

    def same(self, x: torch.Tensor) -> torch.Tensor:
        """(1, C, X, Y, Z) -> the same sites; the caller clears all others."""
        return F.conv3d(x, self._dense(4, 3), padding=1)

    def down(self, x: torch.Tensor) -> torch.Tensor:
        """To every second place per axis, one beyond the end where the side is even."""
        return F.conv3d(_made_odd(x), self._dense(4, 3), stride=2, padding=1)

    def up(self, x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Back to the sites (of an array of ``shape``) that ``down`` came from."""
        found = F.conv_transpose3d(x, self._dense(3, 4), stride=2, padding=1)
        return found[..., : shape[-3], : shape[-2], : shape[-1]]

    def _dense(self, first: int, second: int) -> torch.Tensor:
        return self.kernel.unflatten(0, (3, 3, 3)).permute(first, second, 2, 1, 0)


def down_mask(mask: torch.Tensor) -> torch.Tensor:
    """The sites (X, Y, Z) bool that ``Kernel.down`` makes: next to a site, and not below the lowest one on any axis."""
    coarse = F.max_pool3d(_made_odd(mask.float()[None, None]), 3, 2, 1)[0, 0] > 0
    for axis in range(3):
        others = [each for each in range(3) if each != axis]
        lowest = int(mask.any(others[1]).any(others[0]).int().argmax())
        coarse.narrow(axis, 0, (lowest + 1) // 2).fill_(False)
    return coarse


def _made_odd(x: torch.Tensor) -> torch.Tensor:
    z, y, x_ = (1 - side % 2 for side in reversed(x.shape[-3:]))
    return F.pad(x, (0, z, 0, y, 0, x_))


class Block(nn.Module):
    """A sparse convolution, normalized over its sites, and a ReLU."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.net = nn.ModuleList([Kernel(inputs, outputs), BatchNorm(outputs)])

    def same(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._finish(self.net[0].same(x), mask)

    def down(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``mask``: of the result."""
        return self._finish(self.net[0].down(x), mask)

    def up(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self._finish(self.net[0].up(x, mask.shape), mask)

    def _finish(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        finished = torch.zeros_like(x)
        finished[0, :, mask] = F.relu(self.net[1](x[0, :, mask].T)).T
        return finished


class SparseUNet(nn.Module):
    """Features (1, 32, X, Y, Z), zero outside the sites (X, Y, Z) bool -> (1, 16, X, Y, Z), likewise.

    Four lattices; the steps up are added to what the steps down passed by.
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

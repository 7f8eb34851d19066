"""Feature maps -> volume -> signed distance."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .features import ConvABN
from .sparse import SparseUNet
from .volume import interpolate

OCTAVES = 6
WIDTH = 128
LATENT = 16


class WeightNormLinear(nn.Module):
    """A linear layer with weight normalization: rows stored as directions and lengths (arXiv 1602.07868)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight_v = nn.Parameter(torch.randn(outputs, inputs) * (2 / outputs) ** 0.5)
        self.weight_g = nn.Parameter(self.weight_v.detach().norm(dim=1, keepdim=True))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor, outputs: int | None = None) -> torch.Tensor:
        """``outputs``: compute only the first so many outputs."""
        rows = slice(outputs)
        weight = self.weight_v[rows] * (self.weight_g[rows] / self.weight_v[rows].norm(dim=1, keepdim=True))
        return F.linear(x, weight, self.bias[rows])


class DistanceLayers(nn.Module):
    """Points (P, 3) and latents (P, 16) -> signed distance, positive outside, and 127 features (P, 128)."""

    def __init__(self):
        super().__init__()
        self.lin0 = WeightNormLinear(3 + 6 * OCTAVES, WIDTH)
        self.lin1 = WeightNormLinear(WIDTH + LATENT, WIDTH)
        self.lin2 = WeightNormLinear(WIDTH + LATENT, WIDTH)

    def forward(self, points: torch.Tensor, latent: torch.Tensor, outputs: int | None = None) -> torch.Tensor:
        waves = [wave(points * 2**octave) for octave in range(OCTAVES) for wave in (torch.sin, torch.cos)]
        hidden = F.softplus(self.lin0(torch.cat([points, *waves], 1)), beta=100)
        hidden = F.softplus(self.lin1(torch.cat([hidden, latent], 1)), beta=100)
        return self.lin2(torch.cat([hidden, latent], 1), outputs)


class SdfNetwork(nn.Module):
    """The layers that turn fused feature maps into a volume, and a point in that volume into a signed distance."""

    def __init__(self):
        super().__init__()
        self.compress_layer = ConvABN(56, LATENT)
        self.sparse_costreg_net = SparseUNet()
        self.sdf_layer = DistanceLayers()

    def distance(self, volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Signed distances (P, 1) in normalized units at normalized points (P, 3) of a volume (16, R, R, R)."""
        return self.sdf_layer(points, interpolate(volume, points), 1)

    def gradient(self, volume: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Signed distances (P, 1) and their gradients (P, 3) with respect to the points."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            distance = self.distance(volume, points)
            (gradient,) = torch.autograd.grad(distance.sum(), points)
        return distance.detach(), gradient

"""The network as a whole: 32 posed views -> feature maps -> volume."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from .color import ColorNetwork
from .features import FeatureNetwork, fuse
from .sdf import SdfNetwork
from .volume import aggregate


class Deviation(nn.Module):
    """How sharply volume rendering sees the surface; extraction never asks."""

    def __init__(self):
        super().__init__()
        self.variance = nn.Parameter(torch.tensor(0.2))

    def forward(self) -> torch.Tensor:
        """The inverse standard deviation, ()."""
        return torch.exp(10 * self.variance).clamp(1e-6, 1e6)


class One2345(nn.Module):
    """The four sub-networks, under their names in the checkpoint.

    To be used in training mode, as it is made: the statistics of the present input belong to what it computes.
    """

    def __init__(self):
        super().__init__()
        self.pyramid_feature_network = FeatureNetwork()
        self.sdf_network_lod0 = SdfNetwork()
        self.rendering_network_lod0 = ColorNetwork()
        self.variance_network_lod0 = Deviation()

    @classmethod
    def of(cls, tensors: dict[str, torch.Tensor]) -> One2345:
        """The network with these weights; RuntimeError unless exactly its names and shapes are there."""
        with torch.device("meta"):
            network = cls()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
        return network

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures (N, 3, 256, 256) in 0..1 -> fused feature maps (N, 56, 256, 256). All views of an object at once:
        they are normalized together."""
        with _exact():
            return fuse(*self.pyramid_feature_network(images))

    def volume(self, maps: torch.Tensor, projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Fused maps and projections (N, 4, 4) -> volume (16, R, R, R) and its seen voxels (R, R, R) bool."""
        with _exact():
            pooled, mask = aggregate(self.sdf_network_lod0.compress_layer(maps), projections)
            return self.sdf_network_lod0.sparse_costreg_net(pooled, mask)[0], mask


def _exact() -> contextlib.AbstractContextManager:
    """Convolutions in full float32 on a GPU too, not in TF32, where they would differ in the third digit."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

"""The network as a whole: 32 posed views -> feature maps -> volume."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from .color import ColorNetwork
from .features import FeatureNetwork, fuse
from .sdf import SdfNetwork
from .volume import aggregate_views


class VarianceNetwork(nn.Module):
    """The sharpness of volume rendering (NeuS, arXiv 2106.10689), which only training uses; part of the checkpoint."""

    def __init__(self):
        super().__init__()
        self.variance = nn.Parameter(torch.tensor(0.2))


class One2345(nn.Module):
    """The four sub-networks, under their names in the checkpoint.

    Use it in training mode, the default: the statistics of the current input are part of the computation.
    """

    def __init__(self):
        super().__init__()
        self.pyramid_feature_network = FeatureNetwork()
        self.sdf_network_lod0 = SdfNetwork()
        self.rendering_network_lod0 = ColorNetwork()
        self.variance_network_lod0 = VarianceNetwork()

    @classmethod
    def from_state_dict(cls, tensors: dict[str, torch.Tensor]) -> One2345:
        """The network with these weights. Raises RuntimeError unless all names and shapes match."""
        with torch.device("meta"):
            network = cls()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
        return network

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, 3, 256, 256) in 0..1 -> fused feature maps (N, 56, 256, 256). All views of an object must come
        together: they are normalized together."""
        with _without_tf32():
            return fuse(*self.pyramid_feature_network(images))

    def volume(self, images: torch.Tensor, projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (N, 3, 256, 256) in 0..1 and projections (N, 4, 4) -> volume (16, R, R, R) and the mask (R, R, R) bool
        of voxels that at least two views see."""
        compression = self.sdf_network_lod0.compress_layer
        with _without_tf32():
            # In two steps: one call would hold the fused maps, half of all the memory, until its end.
            compressed = compression.bn(compression.conv(self.features(images)))
            aggregated, mask = aggregate_views(compressed, projections)
            del compressed
            return self.sdf_network_lod0.sparse_costreg_net(aggregated, mask)[0], mask


def _without_tf32() -> contextlib.AbstractContextManager[None]:
    """Convolutions in full float32 on a GPU too: in TF32 they would differ from the reference in the third digit."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

"""The network as a whole: 32 posed views -> feature maps -> volume."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from .color import ColorNetwork
from .features import FeatureNetwork, Pyramid, fuse
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

    def features(self, images: torch.Tensor) -> Pyramid:
        """Images (N, 3, 256, 256) in 0..1 -> their features. All views of an object must come together: they are
        normalized together."""
        with _without_tf32():
            return self.pyramid_feature_network(images)

    def volume(self, pyramid: Pyramid, projections: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The features of N views and projections (N, 4, 4) -> volume (16, R, R, R) and the mask (R, R, R) bool of
        voxels that at least two views see."""
        compression = self.sdf_network_lod0.compress_layer
        with _without_tf32():
            # In two steps: fused maps of all views would be the largest tensor of all, but are normalized together.
            compressed = torch.cat([compression.conv(fuse(views)) for views in pyramid.groups()])
            compressed = compression.bn(compressed)
            aggregated, mask = aggregate_views(compressed, projections)
            del compressed
            return self.sdf_network_lod0.sparse_costreg_net(aggregated, mask)[0], mask


def _without_tf32() -> contextlib.AbstractContextManager[None]:
    """Convolutions in full float32 on a GPU too: in TF32 they would differ from the reference in the third digit."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

"""One-2-3-45's field: signed distances by the SDF network, colors blended from the source views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ...errors import ErrorCode, UserError
from .color import SourceViews, gather_point_features
from .features import Pyramid
from .network import One2345
from .poses import NormalizedFrame, normalize

HALF_SIDE = 0.72
"""World units. The network was trained on objects in a cube of half side 0.5, which may be rotated in ours. Farther
out, where nothing was ever supervised, it produces shells that do not belong to the object."""
DISTANCE_BLOCK = 1 << 16
"""Distances computed at once: about 150 MB of activations."""
COLOR_BLOCK = 1 << 11
"""Colors computed at once: about 120 MB."""
GPU_COLOR_BLOCK = 1 << 12
"""The same on a GPU, where each block takes as long as launching its several hundred kernels."""


class One2345Field:
    """A ``Field`` (backend/data_types.py); all tensors are on the network's device."""

    half_side = HALF_SIDE

    def __init__(
        self,
        network: One2345,
        images: torch.Tensor,
        cameras: np.ndarray,
        volume: torch.Tensor,
        mask: torch.Tensor,
        pyramid: Pyramid | None = None,
    ):
        """``images`` (32, 3, 256, 256) in 0..1; ``cameras`` (33, 4, 4): the reference view's and theirs, OpenGL axes;
        ``volume`` (16, R, R, R) and the mask (R, R, R) bool of voxels that at least two views see; ``pyramid``: the
        images' features, which are computed for the first color where they are left out."""
        self.network, self.images, self.cameras, self.volume, self.mask = network, images, cameras, volume, mask
        self.frame: NormalizedFrame = normalize(cameras)
        self._pyramid = pyramid

    @classmethod
    @torch.no_grad()
    def from_images(cls, network: One2345, images: torch.Tensor, cameras: np.ndarray) -> One2345Field:
        """The field of an object in its source images and their cameras (see ``__init__``)."""
        projections = torch.from_numpy(normalize(cameras).projections).to(images.device)
        pyramid = network.features(images)
        return cls(network, images, cameras, *network.volume(pyramid, projections), pyramid)

    def distance(self, points: np.ndarray) -> np.ndarray:
        distances = _in_blocks(self.distances, self._normalized(points), DISTANCE_BLOCK, 1)
        return distances[:, 0].cpu().numpy() * np.float32(self.frame.scale)

    def color(self, points: np.ndarray) -> np.ndarray:
        size = GPU_COLOR_BLOCK if self.volume.is_cuda else COLOR_BLOCK
        return _in_blocks(self.colors, self._normalized(points), size, 3).clamp(0, 1).cpu().numpy()

    @torch.no_grad()
    def distances(self, points: torch.Tensor) -> torch.Tensor:
        """Normalized points (P, 3) -> signed distances (P, 1) in normalized units."""
        return self.network.sdf_network_lod0.distance(self.volume, points)

    @torch.no_grad()
    def colors(self, points: torch.Tensor) -> torch.Tensor:
        """Normalized points (P, 3) -> colors (P, 3), viewed along the field's gradient; occlusion is not tested."""
        _, gradient = self.network.sdf_network_lod0.gradient(self.volume, points)
        outwards = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return self.network.rendering_network_lod0(gather_point_features(self.sources, points, outwards))

    @property
    def sources(self) -> SourceViews:
        """What colors are blended from."""
        if self._pyramid is None:
            with torch.no_grad():
                self._pyramid = self.network.features(self.images)
        projections = torch.from_numpy(self.frame.projections).to(self.volume.device)
        camera_centers = torch.from_numpy(self.frame.camera_to_world[:, :3, 3]).to(self.volume.device)
        return SourceViews(self.images, self._pyramid, self.volume, self.mask, projections, camera_centers)

    def grid_to_world(self, points: np.ndarray) -> np.ndarray:
        return self.frame.to_world(points)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Images in 8 bits, the volume in 16; the features are 20 times as large and can be recomputed."""
        return {
            "one2345.images": (self.images * 255).round().to(torch.uint8).cpu(),
            "one2345.cameras": torch.from_numpy(self.cameras),
            "one2345.volume": self.volume.half().cpu(),
            "one2345.mask": self.mask.cpu(),
            **{f"network.{name}": tensor.cpu() for name, tensor in self.network.state_dict().items()},
        }

    def _normalized(self, points: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.frame.from_world(points)).to(self.volume.device)


def from_tensors(
    tensors: dict[str, torch.Tensor], path: Path | str, device: str | torch.device = "cpu"
) -> One2345Field:
    """The field that ``One2345Field.tensors`` described. Raises UserError ``broken_field``, which names ``path``."""
    try:
        network = One2345.from_state_dict(
            {name.removeprefix("network."): tensor for name, tensor in tensors.items() if name.startswith("network.")}
        )
        images, cameras, volume, mask = (tensors[f"one2345.{name}"] for name in ("images", "cameras", "volume", "mask"))
        if images.shape[1:] != (3, 256, 256) or cameras.shape != (len(images) + 1, 4, 4):
            raise ValueError("images and cameras do not match")
        if volume.shape != (16, *mask.shape):
            raise ValueError("volume and mask do not match")
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            ErrorCode.BROKEN_FIELD, f"{path} does not contain a field of this version: generate the mesh again."
        ) from error
    network = network.requires_grad_(False).to(device)
    images = images.to(device).float() / 255
    return One2345Field(network, images, cameras.numpy(), volume.to(device).float(), mask.to(device))


def _in_blocks(
    function: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor, size: int, columns: int
) -> torch.Tensor:
    """``function`` of points (P, 3), ``size`` at a time -> (P, columns)."""
    blocks = [function(block) for block in points.split(size)] if len(points) else [points.new_zeros(0, columns)]
    return torch.cat(blocks)

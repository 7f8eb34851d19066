"""The starter surface network: posed views -> feature volume -> signed distance and color.

Sparse-view reconstruction as in One-2-3-45 (arXiv 2306.16928, section 3.3): 2D features are back-projected into a
volume, aggregated over the views and processed by a 3D U-Net. Four things differ: the volume fits the object closely;
supervision is by exact distances, not by volume rendering; the input image's own features stay apart from the
aggregated ones, because only that image is certain; and some features predict the depth of a pixel's surface. Of these,
what is aggregated is whether a voxel lies in front of or behind the predicted depth: each view votes on the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..camera import FOCAL, RADIUS
from ..data_types import Views
from ..errors import ErrorCode, UserError
from ..input_files import read_json
from ..io.tensors import read_tensors
from .field import Decoder, VolumeField
from .silhouette_constraint import SilhouetteConstraint

SHARPNESS = 4.0, 12.0
"""How steeply a depth vote falls from 1 in front of the predicted depth to -1 behind it, per half side of the volume:
for the first and the second half of the depth features."""


def _conv_block(dimensions: int, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = (nn.Conv2d, nn.Conv3d)[dimensions - 2]
    return nn.Sequential(convolution(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())


class FeatureUNet(nn.Module):
    """2D U-Net: images with masks (N, 4, S, S), S a multiple of 16 -> features (N, channels - 1, S, S).

    One channel fewer than requested, because the background mask is appended to them.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.level0 = nn.Sequential(_conv_block(2, 4, channels), _conv_block(2, channels, channels))
        self.level1 = _down_level(channels, 2 * channels)
        self.level2 = _down_level(2 * channels, 4 * channels)
        self.level3 = _down_level(4 * channels, 4 * channels)
        self.level4 = _down_level(4 * channels, 6 * channels)
        self.join3 = _conv_block(2, 10 * channels, 4 * channels)
        self.join2 = _conv_block(2, 8 * channels, 2 * channels)
        self.join1 = _conv_block(2, 4 * channels, channels)
        self.join0 = nn.Sequential(_conv_block(2, 2 * channels, channels), nn.Conv2d(channels, channels - 1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level0 = self.level0(images)
        level1 = self.level1(level0)
        level2 = self.level2(level1)
        level3 = self.level3(level2)
        up = _upsample(self.level4(level3))
        up = _upsample(self.join3(torch.cat([up, level3], 1)))
        up = _upsample(self.join2(torch.cat([up, level2], 1)))
        up = _upsample(self.join1(torch.cat([up, level1], 1)))
        return self.join0(torch.cat([up, level0], 1))


def _down_level(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv_block(2, inputs, outputs, 2), _conv_block(2, outputs, outputs))


class VolumeUNet(nn.Module):
    """3D U-Net: aggregated features (B, inputs, R, R, R) -> volume (B, channels[0], R, R, R)."""

    def __init__(self, inputs: int, channels: list[int]):
        super().__init__()
        self.inlet = nn.Conv3d(inputs, channels[0], 1)
        self.level0 = _conv_block(3, channels[0], channels[0])
        self.downs = nn.ModuleList(
            nn.Sequential(_conv_block(3, a, b, 2), _conv_block(3, b, b)) for a, b in pairwise(channels)
        )
        self.narrows = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(channels))
        self.joins = nn.ModuleList(_conv_block(3, a, a) for a in channels[:-1])
        self.outlet = nn.Conv3d(channels[0], channels[0], 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        levels = [self.level0(self.inlet(features))]
        for down in self.downs:
            levels.append(down(levels[-1]))
        up = levels.pop()
        for narrow, join in zip(reversed(self.narrows), reversed(self.joins), strict=True):
            up = join(_upsample(narrow(up)) + levels.pop())
        return self.outlet(up)


def _upsample(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest" if x.dim() == 5 else "bilinear")


class SurfaceNetwork(nn.Module):
    """A ``SurfaceModel`` that takes any number of views of one object; the first is the input image."""

    required_views = None

    def __init__(
        self,
        image_size: int,
        features: int,
        depths: int,
        channels: list[int],
        resolution: int,
        half_side: float,
        hidden: int,
    ):
        """``image_size``: side of the views in pixels; ``resolution``: voxels along a side of the volume;
        ``half_side``: the volume is [-half_side, half_side]^3 in world units; ``depths``: how many of the
        ``features`` predict a depth, an even number; the rest are layer widths."""
        super().__init__()
        self.image_size, self.resolution, self.half_side = image_size, resolution, half_side
        self.depths = depths
        self.features = FeatureUNet(features)
        self.unet = VolumeUNet(3 * features + (depths + 1) + 3, channels)
        self.decoder = Decoder(channels[0], hidden)

    def use_bfloat16(self) -> None:
        """Compute volumes in bfloat16, as in training; the decoder keeps 32 bits."""
        for network, layout in ((self.features, torch.channels_last), (self.unet, torch.channels_last_3d)):
            nn.Module.to(network, dtype=torch.bfloat16, memory_format=layout)  # pyright: ignore[reportCallIssue]

    def voxel_centers(self, device: torch.device | str) -> torch.Tensor:
        """Centers of the volume's voxels (R^3, 3) in world units, x slowest."""
        steps = ((torch.arange(self.resolution, device=device) + 0.5) / self.resolution * 2 - 1) * self.half_side
        return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)

    def extract_features(self, images: torch.Tensor) -> torch.Tensor:
        """Images with masks (B, V, 4, S, S) -> feature maps (B, V, features, S, S): general features, then those that
        predict depths, then the background mask."""
        flat = images.flatten(0, 1)
        # The background, not the object: outside the frame nothing is known, and sampling there returns zero.
        return torch.cat([self.features(flat * 2 - 1), 1 - flat[:, 3:]], 1).unflatten(0, images.shape[:2])

    def aggregate_views(self, maps: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """Feature maps of ``extract_features`` and cameras (B, V, 4, 4) -> volume of features (B, channels, R, R, R):
        mean and variance over the views, the input image's own, the greatest votes, and the voxels' positions."""
        batch, views = maps.shape[:2]
        # 16 bits would round the sampling positions; features of a pixel that lie side by side are read faster.
        maps = maps.flatten(0, 1).float().contiguous(memory_format=torch.channels_last).unflatten(0, (batch, views))
        centers = self.voxel_centers(maps.device)
        first = self._sample_view(maps[:, 0], cameras[:, 0], centers)
        total, square, largest = first.clone(), first.square(), first[:, -1 - self.depths :]
        for view in range(1, views):
            sampled = self._sample_view(maps[:, view], cameras[:, view], centers)
            total += sampled
            square.addcmul_(sampled, sampled)
            largest = torch.maximum(largest, sampled[:, -1 - self.depths :])
        mean = total / views
        variance = square / views - mean.square()
        position = (centers / self.half_side).t().expand(batch, -1, -1)
        aggregated = torch.cat([mean, variance, first, largest, position], 1)
        return aggregated.unflatten(2, (self.resolution,) * 3)

    def _sample_view(self, maps: torch.Tensor, cameras: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
        """One view's feature maps (B, features, S, S), projected onto voxel centers (P, 3) by its cameras (B, 4, 4):
        features (B, features, P), in which the predicted depths have become votes. The background is the last one."""
        local = (centers - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
        plane = 2 * FOCAL * local[..., :2] / -local[..., 2:].clamp_max(-1e-3)
        plane = (plane * plane.new_tensor([1.0, -1.0])).unsqueeze(2)
        sampled = F.grid_sample(maps, plane, align_corners=False)[..., 0]
        predicted = sampled[:, -1 - self.depths : -1]
        depth = (-local[..., 2] - RADIUS)[:, None] / self.half_side
        in_frame = (plane.abs() <= 1).all(-1).transpose(1, 2)
        sharpness = centers.new_tensor(SHARPNESS).repeat_interleave(self.depths // 2)[:, None]
        predicted.copy_((sharpness * (predicted - depth)).tanh() * in_frame)
        return sampled

    def forward(self, images: torch.Tensor, cameras: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images with masks (B, V, 4, S, S), cameras (B, V, 4, 4) and world points (B, P, 3) -> signed distances (B, P)
        in world units and colors (B, P, 3) in 0..1."""
        volume = self.unet(self.aggregate_views(self.extract_features(images), cameras))
        return self.decoder(volume, points / self.half_side)

    @torch.inference_mode()
    def reconstruct(
        self, views: Views, silhouette_constraint: bool = True, others: Sequence[Views] = ()
    ) -> VolumeField:
        """The field of the object in ``views`` (see ``SurfaceModel``), resized to ``image_size``."""
        volumes = [self._volume(those) for those in (views, *others)]
        field = VolumeField(torch.stack(volumes), self.decoder, self.half_side)
        if silhouette_constraint:
            field.silhouette_constraint = SilhouetteConstraint.from_mask(
                views.masks[0], views.camera_to_world[0], field.distance, self.half_side
            )
        return field

    def _volume(self, views: Views) -> torch.Tensor:
        """The feature volume (C, R, R, R) of some views."""
        device = next(self.parameters()).device
        images = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).to(device)
        images = images.permute(0, 3, 1, 2).float().contiguous()  # else group norm on a CPU loses four digits
        if images.shape[-1] != self.image_size:
            images = F.interpolate(images, (self.image_size,) * 2, mode="bilinear", antialias=True).clamp(0, 1)
        cameras = torch.from_numpy(views.camera_to_world).to(device)
        dtype = self.unet.inlet.weight.dtype
        features = self.aggregate_views(self.extract_features(images[None].to(dtype)), cameras[None])
        return self.unet(features.to(dtype))[0].float().contiguous()


def load(folder: Path | str, device: str | torch.device = "cpu") -> SurfaceNetwork:
    """The network in ``folder`` (``config.json`` and ``model.safetensors``).

    Raises UserError ``weights_missing`` or ``weights_broken``.
    """
    config = Path(folder) / "config.json"
    tensors = read_tensors(Path(folder) / "model.safetensors")
    try:
        network = SurfaceNetwork(**read_json(config))
        network.load_state_dict(tensors)
    except Exception as error:  # the file may say anything: deep, huge, or of the wrong types
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"The surface weights in {folder} do not match their config.json: install them again.",
        ) from error
    return network.requires_grad_(False).eval().to(device)

"""The starter surface network: posed views -> feature volume -> signed distance and color.

Sparse-view reconstruction as in One-2-3-45 (arXiv 2306.16928, section 3.3): 2D features are back-projected into a
volume, pooled over the views and read by a 3D U-Net. Ours differs in a volume fitted to the object, in exact distances
as supervision instead of volume rendering, in keeping the picture's own features apart from the pooled ones, because
only the picture is certain, and in features that guess how far away a pixel's surface is: what is pooled of them is
whether a cell lies before or behind it, so that every view votes for itself on where the object ends.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..camera import FOCAL, RADIUS
from ..errors import ErrorCode, UserError
from ..io.tensors import read_tensors
from ..types import Views
from .field import Decoder, VolumeField
from .silhouette_constraint import Outline

SHARPNESS = 4.0, 12.0
"""How fast a depth feature turns from 1 before its guess to -1 behind it, in half sides of the volume: of each half of
the depth features."""


def _block(dimensions: int, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = (nn.Conv2d, nn.Conv3d)[dimensions - 2]
    return nn.Sequential(convolution(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU())


class Features(nn.Module):
    """2D U-Net: pictures with masks (N, 4, S, S), S a multiple of 16 -> features (N, C - 1, S, S).

    One less than asked for: the pictures' background joins them.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.level0 = nn.Sequential(_block(2, 4, channels), _block(2, channels, channels))
        self.level1 = nn.Sequential(_block(2, channels, 2 * channels, 2), _block(2, 2 * channels, 2 * channels))
        self.level2 = nn.Sequential(_block(2, 2 * channels, 4 * channels, 2), _block(2, 4 * channels, 4 * channels))
        self.level3 = nn.Sequential(_block(2, 4 * channels, 4 * channels, 2), _block(2, 4 * channels, 4 * channels))
        self.level4 = nn.Sequential(_block(2, 4 * channels, 6 * channels, 2), _block(2, 6 * channels, 6 * channels))
        self.join3 = _block(2, 10 * channels, 4 * channels)
        self.join2 = _block(2, 8 * channels, 2 * channels)
        self.join1 = _block(2, 4 * channels, channels)
        self.join0 = nn.Sequential(_block(2, 2 * channels, channels), nn.Conv2d(channels, channels - 1, 3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        level0 = self.level0(pictures)
        level1 = self.level1(level0)
        level2 = self.level2(level1)
        level3 = self.level3(level2)
        up = _double(self.level4(level3))
        up = _double(self.join3(torch.cat([up, level3], 1)))
        up = _double(self.join2(torch.cat([up, level2], 1)))
        up = _double(self.join1(torch.cat([up, level1], 1)))
        return self.join0(torch.cat([up, level0], 1))


class VolumeUNet(nn.Module):
    """3D U-Net: pooled features (B, inputs, R, R, R) -> volume (B, channels[0], R, R, R)."""

    def __init__(self, inputs: int, channels: list[int]):
        super().__init__()
        self.inlet = nn.Conv3d(inputs, channels[0], 1)
        self.level0 = _block(3, channels[0], channels[0])
        self.downs = nn.ModuleList(nn.Sequential(_block(3, a, b, 2), _block(3, b, b)) for a, b in pairwise(channels))
        self.narrows = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(channels))
        self.joins = nn.ModuleList(_block(3, a, a) for a in channels[:-1])
        self.outlet = nn.Conv3d(channels[0], channels[0], 1)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        levels = [self.level0(self.inlet(pooled))]
        for down in self.downs:
            levels.append(down(levels[-1]))
        up = levels.pop()
        for narrow, join in zip(reversed(self.narrows), reversed(self.joins), strict=True):
            up = join(_double(narrow(up)) + levels.pop())
        return self.outlet(up)


def _double(x: torch.Tensor) -> torch.Tensor:
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
        """``image_size``: side of the views in pixels; ``resolution``: cells along a side of the volume;
        ``half_side``: the volume is [-half_side, half_side]^3 in world units; ``depths``: how many of the
        ``features`` guess a depth, an even number; the rest are layer widths."""
        super().__init__()
        self.image_size, self.resolution, self.half_side = image_size, resolution, half_side
        self.depths = depths
        self.features = Features(features)
        self.unet = VolumeUNet(3 * features + (depths + 1) + 3, channels)
        self.decoder = Decoder(channels[0], hidden)

    def voxel_centers(self, device) -> torch.Tensor:
        """Centers of the volume's cells (R^3, 3) in world units, x slowest."""
        steps = ((torch.arange(self.resolution, device=device) + 0.5) / self.resolution * 2 - 1) * self.half_side
        return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)

    def extract_features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures with masks (B, V, 4, S, S) -> feature maps (B, V, features, S, S): plain ones, those that guess a
        depth, and the background."""
        flat = pictures.flatten(0, 1)
        # "Background" instead of "mask": outside the frame nothing is known, and sampling there gives zero.
        return torch.cat([self.features(flat * 2 - 1), 1 - flat[:, 3:]], 1).unflatten(0, pictures.shape[:2])

    def aggregate_views(self, maps: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """Feature maps of ``extract_features`` and cameras (B, V, 4, 4) -> pooled features (B, channels, R, R, R)."""
        batch, views = maps.shape[:2]
        maps = maps.float()  # 16 bit would round where a cell is looked up
        cells = self.voxel_centers(maps.device)
        sharpness = cells.new_tensor(SHARPNESS).repeat_interleave(self.depths // 2)[:, None]
        total = square = largest = first = None
        for view in range(views):
            local = (cells - cameras[:, view, None, :3, 3]) @ cameras[:, view, :3, :3]
            plane = 2 * FOCAL * local[..., :2] / -local[..., 2:].clamp_max(-1e-3)
            plane = (plane * plane.new_tensor([1.0, -1.0])).unsqueeze(2)
            seen = F.grid_sample(maps[:, view], plane, align_corners=False)[..., 0]
            plain, guessed, background = seen.tensor_split((-1 - self.depths, -1), 1)
            depth = (-local[..., 2] - RADIUS)[:, None] / self.half_side
            framed = (plane.abs() <= 1).all(-1).transpose(1, 2)
            votes = torch.cat([(sharpness * (guessed - depth)).tanh() * framed, background], 1)
            seen = torch.cat([plain, votes], 1)
            if view == 0:
                total, square, largest, first = seen, seen.square(), votes, seen
            else:
                total, square = total + seen, square + seen.square()
                largest = torch.maximum(largest, votes)
        mean = total / views
        variance = square / views - mean.square()
        place = (cells / self.half_side).t().expand(batch, -1, -1)
        pooled = torch.cat([mean, variance, first, largest, place], 1)
        return pooled.unflatten(2, (self.resolution,) * 3)

    def forward(self, pictures: torch.Tensor, cameras: torch.Tensor, points: torch.Tensor):
        """Views and world points (B, P, 3) -> signed distances (B, P) and colors (B, P, 3)."""
        volume = self.unet(self.aggregate_views(self.extract_features(pictures), cameras))
        return self.decoder(volume, points / self.half_side)

    @torch.inference_mode()
    def reconstruct(self, views: Views, silhouette_constraint: bool = True) -> VolumeField:
        """The field of the object in ``views`` (see ``SurfaceModel``), resized to ``image_size``."""
        device = next(self.parameters()).device
        pictures = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).to(device)
        pictures = pictures.permute(0, 3, 1, 2).float()
        if pictures.shape[-1] != self.image_size:
            pictures = F.interpolate(pictures, (self.image_size,) * 2, mode="bilinear", antialias=True).clamp(0, 1)
        cameras = torch.from_numpy(views.camera_to_world).to(device)
        volume = self.unet(self.aggregate_views(self.extract_features(pictures[None]), cameras[None]))[0]
        field = VolumeField(volume, self.decoder, self.half_side)
        if silhouette_constraint:
            field.outline = Outline.of(views.masks[0], views.camera_to_world[0], field.distance, self.half_side)
        return field


def load(folder: Path | str, device: str | torch.device = "cpu") -> SurfaceNetwork:
    """The network in ``folder`` (``config.json`` and ``model.safetensors``). Raises UserError."""
    config = Path(folder) / "config.json"
    tensors = read_tensors(Path(folder) / "model.safetensors")
    try:
        network = SurfaceNetwork(**json.loads(config.read_text(encoding="utf-8")))
        network.load_state_dict(tensors)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"The surface weights in {folder} do not fit their config.json: install them again.",
        ) from error
    return network.requires_grad_(False).eval().to(device)

"""What the view model is told about the picture: pixels for the CLIP tower, and the size of the elevation head."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

ELEVATION_UNIT = 30.0
"""The elevation head answers in units of this many degrees, so that its numbers stay near one."""


def clip_pixels(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images (B, 3, H, W) in -1..1 -> (B, 3, size, size) float32 as the CLIP tower expects them.

    Bicubic with aligned corners and without antialiasing or clamping, exactly as Zero123 was trained; the stock CLIP
    image processor resizes differently.
    """
    images = F.interpolate(images.float(), (size, size), mode="bicubic", align_corners=True)
    mean = images.new_tensor(CLIP_MEAN).view(1, 3, 1, 1)
    deviation = images.new_tensor(CLIP_DEVIATION).view(1, 3, 1, 1)
    return ((images + 1) / 2 - mean) / deviation


def elevation_head(widths: list[int]) -> nn.Sequential:
    """Linear layers with SiLU between them: CLIP embedding -> (elevation, log-variance) in ``ELEVATION_UNIT``."""
    layers: list[nn.Module] = []
    for width, following in pairwise(widths):
        layers += [nn.Linear(width, following), nn.SiLU()]
    return nn.Sequential(*layers[:-1])

"""The view model's conditioning on the input image: pixels for the CLIP image encoder, and the elevation head."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

ELEVATION_UNIT = 30.0
"""The elevation head predicts in units of this many degrees, so that its outputs stay near one."""


def clip_pixel_values(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images (B, 3, H, W) in -1..1 -> (B, 3, size, size) float32 as the CLIP image encoder expects them.

    Bicubic with aligned corners and without antialiasing or clamping, exactly as Zero123 was trained
    (arXiv 2303.11328, the authors' code); the stock CLIP image processor resizes differently.
    """
    images = F.interpolate(images.float(), (size, size), mode="bicubic", align_corners=True)
    mean = images.new_tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(CLIP_STD).view(1, 3, 1, 1)
    return ((images + 1) / 2 - mean) / std


def build_elevation_head(widths: list[int]) -> nn.Sequential:
    """Linear layers of these widths with SiLU between them, for embeddings (B, widths[0]) of the CLIP image encoder.

    The last width is 2: the elevation and its log-variance, in ``ELEVATION_UNIT``.
    """
    layers: list[nn.Module] = []
    for width, next_width in pairwise(widths):
        layers += [nn.Linear(width, next_width), nn.SiLU()]
    return nn.Sequential(*layers[:-1])

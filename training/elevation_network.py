"""A network that sees in an input image how high its camera was: shape and loss.

The view model's own prediction (``backend.views.zero123``) reads it from the CLIP embedding, which is trained to
condition the UNet on few different inputs.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import ConvNextV2Config
from transformers.models.convnextv2 import ConvNextV2Model

from backend.views.zero123.conditioning import ELEVATION_UNIT

SHAPE = {"hidden_sizes": [32, 64, 128, 224], "depths": [2, 2, 4, 2], "image_size": 128}
"""1.6 million weights: with all other starter weights below 26 MiB."""


class ElevationNetwork(nn.Module):
    """ConvNeXt V2 (arXiv 2301.00808) and a linear layer."""

    def __init__(self, **shape):
        """``shape``: of ``ConvNextV2Config``."""
        super().__init__()
        config = ConvNextV2Config(**shape)
        self.backbone = ConvNextV2Model(config)
        self.head = nn.Linear(config.hidden_sizes[-1], 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, S, S) in -1..1 on white -> (B, 2) float32: elevation in units of ``ELEVATION_UNIT`` degrees,
        and the logarithm of the mean absolute error that it expects of it."""
        return self.head(self.backbone(images).pooler_output).float()


def laplace_loss(predicted: torch.Tensor, elevation: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood (B,) of elevations (B,) in degrees under the predicted (B, 2) Laplace distribution, but
    for a constant. Its center is a median: a few pictures that may be anything do not pull it."""
    log_error = predicted[:, 1].clamp(-5, 2)
    return (predicted[:, 0] - elevation / ELEVATION_UNIT).abs() * torch.exp(-log_error) + log_error

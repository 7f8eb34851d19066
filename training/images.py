"""Stored pictures as the networks take them."""

from __future__ import annotations

import torch


def as_input(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, S, S, C) -> (B, C, S, S) float32 in -1..1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1

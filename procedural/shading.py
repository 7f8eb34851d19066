"""The light of all scenes in PyTorch, as the renderers shade: one lamp, a sky, an ambient share."""

from __future__ import annotations

import torch


def shade(normals: torch.Tensor, lights: torch.Tensor) -> torch.Tensor:
    """What colors are multiplied by where the unit normals are (B, N, 3), in lights (B, 4), each the unit vector toward
    the lamp and the share of ambient light: (B, N) in 0..1."""
    toward, ambient = lights[:, None, :3], lights[:, None, 3]
    lit = 0.75 * (normals * toward).sum(-1).clamp_min(0) + 0.25 * (0.5 + 0.5 * normals[..., 2])
    return ambient + (1 - ambient) * lit

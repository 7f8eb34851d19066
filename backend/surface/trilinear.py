"""Trilinear interpolation in feature volumes on a CPU."""

from __future__ import annotations

import torch
from torch.nn import functional as F


class TrilinearTable:
    """What ``torch.nn.functional.grid_sample`` reads from volumes, with ``align_corners`` off and the border repeated.

    It takes a third of the time, because all features of a voxel lie side by side here: each of a point's eight corners
    is one read.
    """

    def __init__(self, volumes: torch.Tensor):
        """``volumes``: (N, C, R, R, R), of at least two voxels a side."""
        self._count, _, self._side = volumes.shape[:3]
        self._rows = volumes.float().permute(2, 3, 4, 0, 1).flatten(3).flatten(0, 2).contiguous()
        self._corners = torch.cartesian_prod(*(torch.tensor([0, step]) for step in (self._side**2, self._side, 1))).sum(
            1
        )

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Points (P, 3) float32 in -1..1 -> features (N, P, C) float32."""
        position = ((points + 1) * self._side / 2 - 0.5).clamp(0, self._side - 1)
        low = position.floor().clamp(max=self._side - 2)
        x, y, z = torch.stack([1 - (position - low), position - low], -1).unbind(1)
        weights = (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).flatten(1)
        steps = low.long()
        index = (steps[:, 0] * self._side + steps[:, 1]) * self._side + steps[:, 2]
        summed = F.embedding_bag(index[:, None] + self._corners, self._rows, per_sample_weights=weights, mode="sum")
        return summed.unflatten(1, (self._count, -1)).transpose(0, 1)

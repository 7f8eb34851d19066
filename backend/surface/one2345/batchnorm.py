"""Normalization by the statistics of the present input, at inference too: the network was never used otherwise.

That is training mode here; evaluation mode takes the stored statistics instead. No running average is kept, so results
never depend on earlier inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

EPSILON = 1e-5
THREADS = 2
"""PyTorch adds up a batch's rows in float32, one part per thread, so that on a CPU the number of threads shows in the
fifth digit; the reference's values, which the tests hold us to, were made with two."""


class BatchNorm(nn.Module):
    """Batch normalization of rows (P, C)."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=EPSILON)
        with _threads(THREADS):
            return F.batch_norm(rows.contiguous(), None, None, self.weight, self.bias, True, eps=EPSILON)


class ActivatedBatchNorm(BatchNorm):
    """Batch normalization of maps (N, C, H, W) with a scale that is never negative, and a leaky ReLU (in-place ABN,
    arXiv 1712.02616)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        mean, variance = self.running_mean, self.running_var
        if self.training:
            # In two passes: F.batch_norm's own on a CPU is wrong by up to 3 % of a deviation over two million values.
            center = maps.mean((0, 2, 3), keepdim=True)
            mean, variance = center.flatten(), (maps - center).square().mean((0, 2, 3))
        scale = self.weight.abs() + EPSILON
        return F.leaky_relu(F.batch_norm(maps, mean, variance, scale, self.bias, eps=EPSILON), 0.01)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

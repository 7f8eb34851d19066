"""Normalization by the statistics of the current input, at inference too: the network was never used otherwise.

That is training mode here; evaluation mode uses the stored statistics instead. Running averages are never updated, so
results do not depend on earlier inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

EPSILON = 1e-5
THREADS = 2
"""PyTorch sums a batch's rows in float32 with one partial sum per thread, so on a CPU the number of threads changes the
fifth digit. The reference's values, against which the tests compare, were computed with two."""


class BatchNorm(nn.Module):
    """Batch normalization of rows (P, C)."""

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=EPSILON)
        with _num_threads(THREADS):
            return F.batch_norm(x.contiguous(), None, None, self.weight, self.bias, True, eps=EPSILON)


class ActivatedBatchNorm(BatchNorm):
    """Batch normalization of maps (N, C, H, W) with a scale that is never negative, then a leaky ReLU (in-place ABN,
    arXiv 1712.02616)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = self.running_mean, self.running_var
        if self.training:
            # Two passes: over two million values, F.batch_norm on a CPU is off by up to 3 % of a standard deviation.
            center = x.mean((0, 2, 3), keepdim=True)
            mean, variance = center.flatten(), (x - center).square_().mean((0, 2, 3))
        scale = self.weight.abs() + EPSILON
        return F.leaky_relu(F.batch_norm(x, mean, variance, scale, self.bias, eps=EPSILON), 0.01, inplace=True)


@contextlib.contextmanager
def _num_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

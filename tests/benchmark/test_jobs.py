"""Counting the operations of a job."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from benchmark.jobs import count_tflop


@pytest.mark.parametrize(
    ("job", "flops"),
    [
        (lambda: torch.ones(3, 5) @ torch.ones(5, 7), 2 * 3 * 5 * 7),
        (lambda: functional.conv2d(torch.ones(1, 2, 8, 8), torch.ones(4, 2, 3, 3), padding=1), 2 * 64 * 2 * 4 * 9),
        (lambda: functional.scaled_dot_product_attention(*[torch.ones(2, 3, 10, 4)] * 3), 2 * 2 * 6 * 10 * 10 * 4),
        (lambda: torch.ones(4) + 1, 0),
    ],
    ids=["product", "convolution", "attention", "sum"],
)
@pytest.mark.parametrize("inference", [False, True])
def test_operations_of_networks_are_counted(job, flops, inference):
    with torch.inference_mode(inference):
        result, tflop = count_tflop(job)
    assert torch.is_tensor(result)
    assert tflop * 1e12 == pytest.approx(flops)

"""Weights that are on a GPU only while they are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import nn


@contextlib.contextmanager
def weights_on(device: torch.device, networks: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, the weights of ``networks`` are on ``device``; before and after, where they were.

    They are copied, not moved: what is in the computer's memory stays there, and nothing is copied back. So whatever
    is changed inside is lost. May raise torch.OutOfMemoryError.
    """
    weights = [each for network in networks for each in (*network.parameters(), *network.buffers())]
    originals = [each.data for each in weights]
    try:
        _assign(weights, (original.to(device) for original in originals))
        yield
    finally:
        _assign(weights, originals)
        torch.cuda.empty_cache()  # for other shapes than these, and for other programs


@torch.inference_mode(False)  # weights are no inference tensors, and would not take the data of one
def _assign(weights: list[torch.Tensor], values: Iterable[torch.Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.data = value

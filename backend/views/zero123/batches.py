"""Views go through the networks in batches, which are as large as the GPU's memory allows."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeVar

import torch

BATCH_SIZE = 16
"""Views sampled together; with guidance the UNet sees twice as many."""
DECODE_BATCH_SIZE = 4
"""Images in the VAE at once; it needs six times the UNet's memory for each."""
USABLE = 0.8
"""Of the free memory; the rest is for what libraries need beside the tensors, and for other programs."""

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Batches:
    """How many of a job's views go through a network at once. The number only decreases."""

    def __init__(self, size: int):
        self.size = size
        self.ran_out_of_memory = False
        """Whether a batch did not fit, so that it was divided."""

    def fit(self, bytes_each: int, device: torch.device) -> None:
        """Halve the size until it fits into the free memory of ``device``, if each view needs so many bytes. Only CUDA
        GPUs tell how much of their own is free."""
        if device.type != "cuda":
            return
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of what PyTorch holds
        free = USABLE * (torch.cuda.mem_get_info(device)[0] + unused)
        while self.size > 1 and self.size * bytes_each > free:
            self.size //= 2
            _log.info("%.1f GiB are free: %d views at once", free / 2**30, self.size)

    def run(self, count: int, work: Callable[[slice], Result], free_memory: Callable[[], None]) -> list[Result]:
        """What ``work`` returns for each batch of 0..``count``.

        Where the GPU's memory does not suffice, ``free_memory`` is called, and the same views go on in batches of half
        the size, which the log says. Raises torch.OutOfMemoryError where not even one fits.
        """
        results, start = [], 0
        while start < count:
            batch = slice(start, min(start + self.size, count))
            try:
                results.append(work(batch))
                start = batch.stop
                continue
            except torch.OutOfMemoryError:
                if batch.stop - start == 1:
                    raise
            # Not above: there, the error still holds what the failed batch allocated.
            self.size = math.ceil((batch.stop - start) / 2)
            self.ran_out_of_memory = True
            _log.warning("out of memory: going on with %d at once", self.size)
            free_memory()
        return results

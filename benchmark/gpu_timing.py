"""Seconds and memory of something that runs on a CUDA GPU."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

import torch

REPEATS = 5


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first run, and the median of ``REPEATS`` after it."""
    seconds = []
    for _ in range(1 + REPEATS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return seconds[0], median(seconds[1:])


def measured(run: Callable[[], object]) -> dict[str, float]:
    """``timed`` as ``first`` and ``median``, and the most memory at any time in GiB: ``peak_gib`` of tensors, and
    ``reserved_gib`` with what PyTorch held for later ones. CUDA itself needs about half a GiB more."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    first, seconds = timed(run)
    return {
        "first": first,
        "median": seconds,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
        "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
    }

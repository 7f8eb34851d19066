"""One job of the pipeline, in memory, and the floating-point operations that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from backend.config import resolve_options
from backend.device import choose_device
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import RECONSTRUCT, Pipeline, Reconstruction
from backend.progress import ProgressTracker

Result = TypeVar("Result")


def reconstruct(
    pipeline: Pipeline,
    image: np.ndarray,
    options: Options,
    given: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Reconstruction:
    """An image (H, W, 4) RGBA 0..1, and ``given`` further ones by their side, -> a textured mesh. Raises UserError."""
    config = resolve_options(options, choose_device(options.device).type)
    others = {side: load_image(other) for side, other in given.items()}
    tracker = ProgressTracker(RECONSTRUCT)
    return pipeline.reconstruct(load_image(image), options.weights, config, tracker, given=others)


def count_tflop(job: Callable[[], Result]) -> tuple[Result, float]:
    """What ``job`` returns, and the floating-point operations of its networks in units of 10^12; a multiplication and
    an addition count as two."""
    # On a CPU, attention is an operator of its own, which the counter does not know.
    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        result = job()
    return result, counter.get_total_flops() / 1e12


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_, **__) -> int:
    """From the shapes of the first three arguments."""
    return sdpa_flop_count(query, key, value)

"""UNet calls replayed as CUDA graphs: with few images, a CPU takes longer to launch a call's kernels than a GPU to run
them (docs/performance.md). The kernels and their order stay the same, and so do the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .compiled_unet import UNetCall, load_compiled

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

MAX_GRAPHS = 8
"""Graphs kept; their memory is shared, because they never run at the same time."""


@dataclass(frozen=True)
class _Graph:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    output: torch.Tensor


class GraphedUNet:
    """Calls a UNet on a CUDA GPU; from the second call with the same shapes on, as a CUDA graph. Where this UNet was
    compiled for these shapes (``compiled_unet``), the graph holds the compiled kernels."""

    def __init__(self, unet: UNet2DConditionModel):
        """``unet`` must stay on its GPU and keep its weights' memory."""
        self._unet = unet
        self._self_attention = next(module for name, module in unet.named_modules() if name.endswith(".attn1"))
        self._graphs: dict[tuple, _Graph | None] = {}
        self._compiled: dict[tuple, UNetCall | None] = {}
        self._pool: Any = None

    def __call__(self, sample: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Samples (B, c, h, w), timesteps (B,) and tokens (B, 1, cross) -> a new prediction (B, c, h, w)."""
        # Compiled code takes its inputs' memory for granted.
        inputs = sample.contiguous(), timesteps.contiguous(), tokens.contiguous()
        # The shapes do not tell among how many views self-attention runs (joint_attention).
        views = getattr(self._self_attention.processor, "views", 1)
        key = (*((tensor.shape, tensor.dtype) for tensor in inputs), views)
        if key not in self._graphs:
            if len(self._graphs) >= MAX_GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = None
            if key not in self._compiled:  # views that are sampled together attend to each other: never compiled
                self._compiled[key] = load_compiled(self._unet, inputs) if views == 1 else None
            return self._call(key, *inputs)  # which also loads the kernels, as a capture requires
        captured = self._graphs[key]
        if captured is None:
            captured = self._graphs[key] = self._capture(key, inputs)
        for static, given in zip(captured.inputs, inputs, strict=True):
            static.copy_(given)
        captured.graph.replay()
        return captured.output.clone()

    def _call(self, key: tuple, sample: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        if (compiled := self._compiled[key]) is not None:
            return compiled(sample, timesteps, tokens)
        return self._unet(sample, timesteps, encoder_hidden_states=tokens, return_dict=False)[0]

    def _capture(self, key: tuple, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> _Graph:
        static = inputs[0].clone(), inputs[1].clone(), inputs[2].clone()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the GPU meanwhile: only this one's calls are checked.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = self._call(key, *static)
        return _Graph(graph, static, output)

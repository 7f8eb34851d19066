"""Training in bfloat16 with float32 master weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from training.distributed import ProcessGroup, mean_over_ranks
from training.group_norm import fuse
from training.optimizer import Optimizer

MAX_GRADIENT_NORM = 1.0
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class MasterWeights:
    """A bfloat16 copy of a module, ``compute``, runs forward and backward; the float32 original is optimized.

    Autocast would run every normalization in float32 and triple the bytes moved. On a GPU the copy's group
    normalizations are fused with their activations; on a CPU everything stays in float32.
    """

    def __init__(self, module: nn.Module, group: ProcessGroup):
        self.compute = copy.deepcopy(module)
        if group.device.type == "cuda":
            self.compute = self.compute.bfloat16()
            for parameter in self.compute.parameters():
                if parameter.dim() in _CHANNELS_LAST:
                    parameter.data = parameter.data.contiguous(memory_format=_CHANNELS_LAST[parameter.dim()])
            fuse(self.compute)
        self.dtype = torch.bfloat16 if group.device.type == "cuda" else torch.float32
        self._group = group
        self._masters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._copies = [parameter for parameter in self.compute.parameters() if parameter.requires_grad]

    def step(self, optimizer: Optimizer) -> None:
        """One optimizer step with the copy's gradients, averaged over all processes and clipped to norm 1."""
        # Cross-attention to a single token does not depend on its queries and keys: those have no gradient.
        gradients = [torch.zeros_like(copied) if copied.grad is None else copied.grad for copied in self._copies]
        flat = mean_over_ranks(torch.cat([gradient.flatten() for gradient in gradients]).float(), self._group)
        flat *= (MAX_GRADIENT_NORM / flat.norm().clamp_min(1e-9)).clamp_max(1.0)
        pieces = flat.split([master.numel() for master in self._masters])
        for master, gradient in zip(self._masters, pieces, strict=True):
            master.grad = gradient.view_as(master)
        optimizer.step()
        self.copy_to_compute()
        for copied in self._copies:
            copied.grad = None

    @torch.no_grad()
    def copy_to_compute(self) -> None:
        """Round the master weights into the copy."""
        torch._foreach_copy_(self._copies, self._masters)


def lr_factor(step: int, steps: int, warmup_steps: int, warm_since: int = 0) -> float:
    """The learning rate's factor: constant for 40 % of ``steps``, then a cosine down to 0.01; and a linear warm-up of
    ``warmup_steps`` from step ``warm_since``, where the optimizer was new."""
    done = min(step / steps, 1.0)
    level = 1.0 if done < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (done - 0.4) / 0.6)
    return max(level, 0.01) * min(1.0, (step - warm_since + 1) / warmup_steps)

"""What both trainings share: one GPU or several, the learning rate's schedule, half precision."""

from __future__ import annotations

import copy
import math
import os

import torch
import torch.distributed as dist
from torch import nn

from training.group_norm import fuse


def begin_process(seed: int) -> tuple[int, int, torch.device]:
    """Set this process up, with random numbers of its own: its rank, the number of processes, and its GPU."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(seed + rank)
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    return rank, world, device


def rate_at(step: int, done: float, part: tuple[float, float]) -> float:
    """The learning rate's factor: 200 steps of warming up, 0.4 of the whole schedule level, then a cosine down to 0.01.

    ``done``: share 0..1 of this run; ``part``: where in the schedule it begins and ends.
    """
    whole = part[0] + min(done, 1.0) * (part[1] - part[0])
    level = 1.0 if whole < 0.4 else 0.5 + 0.5 * math.cos(math.pi * (whole - 0.4) / 0.6)
    return max(min(1.0, step / 200) * level, 0.01)


def all_agree(going: bool, device) -> bool:
    """Whether every process wants to go on: all must stop at the same step."""
    if not dist.is_initialized():
        return going
    flag = torch.tensor(float(going), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return flag.item() > 0


class HalfTwin:
    """A bfloat16 copy of a module that computes; the float32 original keeps the weights and learns.

    Autocast would run every normalization in float32 and triple the bytes moved.
    """

    def __init__(self, original: nn.Module):
        self.copy = copy.deepcopy(original).bfloat16().to(memory_format=torch.channels_last)
        fuse(self.copy)
        self.originals = [each for each in original.parameters() if each.requires_grad]
        self.copies = [each for each in self.copy.parameters() if each.requires_grad]

    def step(self, optimizer: torch.optim.Optimizer, world: int) -> None:
        """One step with the copy's gradients, averaged over the processes, clipped to norm 1."""
        # Cross-attention over a single token never looks at its queries and keys: those have no gradient.
        found = [torch.zeros_like(each) if each.grad is None else each.grad for each in self.copies]
        flat = torch.cat([each.flatten() for each in found]).float()
        if world > 1:
            dist.all_reduce(flat, dist.ReduceOp.AVG)
        flat *= (1 / flat.norm().clamp_min(1e-9)).clamp_max(1.0)
        for each, gradient in zip(self.originals, flat.split([each.numel() for each in self.originals]), strict=True):
            each.grad = gradient.view_as(each)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_copy_(self.copies, self.originals)
        for each in self.copies:
            each.grad = None

"""One process per GPU, started by torchrun, or a single process."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def process_group() -> ProcessGroup:
    """This process's rank and device (a GPU if there is one). Nothing is connected yet: see ``init_distributed``."""
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if not torch.cuda.is_available():
        return ProcessGroup(rank, world_size, torch.device("cpu"))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    return ProcessGroup(rank, world_size, device)


def init_distributed(group: ProcessGroup) -> None:
    """Connect the processes. Worker processes must have been forked before, NCCL's threads do not survive a fork."""
    if group.world_size > 1:
        dist.init_process_group("nccl" if group.device.type == "cuda" else "gloo")


def worker_count(group: ProcessGroup) -> int:
    """Processes that may work for this one: its share of the processor's cores, less two."""
    return max(1, (os.cpu_count() or 2) // group.world_size - 2)


def all_ranks_true(condition: bool, group: ProcessGroup) -> bool:
    """Whether ``condition`` holds in every process: all must stop at the same step."""
    if group.world_size == 1:
        return condition
    flag = torch.tensor(float(condition), device=group.device)
    dist.all_reduce(flag, dist.ReduceOp.MIN)
    return flag.item() > 0


def mean_over_ranks(values: torch.Tensor, group: ProcessGroup) -> torch.Tensor:
    """The mean of a float tensor over all processes."""
    if group.world_size > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= group.world_size
    return values

"""Train the network that tells how high the camera of an input image was.

    torchrun --nproc-per-node 2 -m training.elevation training/config/elevation.toml --out OUT --objects PACK ...

A run resumes from the checkpoint in ``--out``. It ends after the configuration's steps, or earlier after ``--minutes``,
writes its checkpoint and can be resumed, on any number of GPUs.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from backend.views.zero123.conditioning import ELEVATION_UNIT
from training.checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from training.config import ElevationConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, mean_over_ranks, process_group
from training.elevation_network import SHAPE, ElevationNetwork, laplace_loss
from training.elevation_scenes import ElevationScenes
from training.images import as_input
from training.mixed_precision import MasterWeights
from training.object_library import ObjectLibrary
from training.run_clock import RunClock
from training.run_log import RunLog
from training.run_plot import plot_log
from training.run_state import RunState
from training.scene_buffer import SceneBuffer

LOG_EVERY = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="TOML file with the fields of training.config.ElevationConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument(
        "--objects", type=Path, nargs="*", default=[], help="object packs; none: only procedural scenes"
    )
    parser.add_argument("--minutes", type=float, help="stop after this long, all included, and write the checkpoint")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the configuration")
    args = parser.parse_args()
    deadline = time.monotonic() + 60 * args.minutes if args.minutes else float("inf")
    group = process_group()
    config = load_config(ElevationConfig, args.config, args.set)
    checkpoint = load_checkpoint(args.out) if has_checkpoint(args.out) else None
    library = None
    if args.objects:
        library = ObjectLibrary.from_packs(args.objects, group.device, realistic_weight=config.realistic_weight)
    step = checkpoint.step if checkpoint else 0
    workers = max(1, (os.cpu_count() or 2) // group.world_size - 2)
    scenes = ElevationScenes(config, library, SHAPE["image_size"], step, group.rank, workers, group.device)
    first = scenes.next_chunk()  # starts the workers, before NCCL has threads
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, 0, 0, "weights"))
    network = ElevationNetwork(**SHAPE).to(group.device)
    torch.manual_seed(derive_seed(config.run, step, group.rank, "training"))
    train(network, config, checkpoint, scenes, first, group, RunLog(args.out, group.is_main), args.out, deadline)
    if group.world_size > 1:
        dist.destroy_process_group()


def train(
    network: ElevationNetwork,
    config: ElevationConfig,
    checkpoint: Checkpoint | None,
    scenes: ElevationScenes,
    first: dict[str, torch.Tensor],
    group: ProcessGroup,
    log: RunLog,
    out: Path,
    deadline: float,
) -> None:
    """Train until ``config.steps`` or ``deadline`` (of ``time.monotonic``), going on from ``checkpoint``; ``first`` is
    a chunk of ``scenes``."""
    batch_size, chunk = config.scenes_per_step // group.world_size, config.scenes_per_chunk
    state = RunState(network, config, checkpoint, nn.Module.state_dict)
    weights = MasterWeights(network, group)
    buffer = SceneBuffer(max(1, config.buffer_scenes // group.world_size // chunk) * chunk)
    buffer.insert(first)
    while len(buffer) < config.initial_scenes // group.world_size:
        buffer.insert(scenes.next_chunk())
    insert_every = max(1, round(chunk * config.scene_reuse / batch_size))
    log.write(event="start", step=state.step, gpus=group.world_size, scenes=len(buffer), resumed=state.resumed)
    begin, sums = time.monotonic(), torch.zeros(2, device=group.device)
    clock = RunClock(group, deadline, lambda: state.save(out))
    while state.step < config.steps:
        learning_rate = state.set_learning_rate()
        batch = buffer.sample_batch(batch_size)
        pictures, elevation = as_input(batch["picture"].flatten(0, 1)), batch["elevation"].flatten()
        mirrored = torch.rand(len(pictures), 1, 1, 1, device=group.device) < 0.5
        pictures = torch.where(mirrored, pictures.flip(-1), pictures).to(weights.dtype)
        predicted = weights.compute(pictures.contiguous(memory_format=torch.channels_last))
        loss = laplace_loss(predicted, elevation).mean()
        loss.backward()
        weights.step(state.optimizer)
        state.finish_step()
        with torch.no_grad():
            sums += torch.stack([loss, (predicted[:, 0] * ELEVATION_UNIT - elevation).abs().mean()])
        if state.step % insert_every == 0:
            buffer.insert(scenes.next_chunk())
        if state.step % LOG_EVERY == 0:
            mean_loss, error = (mean_over_ranks(sums, group) / LOG_EVERY).tolist()
            sums.zero_()
            log.write(
                step=state.step, loss=mean_loss, elevation_error=error, learning_rate=learning_rate,
                scenes_per_second=(state.step - state.first_step) * config.scenes_per_step / (time.monotonic() - begin),
            )  # fmt: skip
        if clock.is_over(state.step):
            break
    if group.is_main:
        state.save(out)
        log.write(event="end", step=state.step, minutes=(time.monotonic() - begin) / 60)
        plot_log(out)


if __name__ == "__main__":
    main()

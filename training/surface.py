"""Train the starter surface network on exact distances (One-2-3-45, arXiv 2306.16928, section 3.3).

    torchrun --nproc-per-node 4 -m training.surface training/config/surface.toml --out OUT --objects PACK ... --views V

Scenes are procedural, or solid objects of packs. They are shown from their true views or, where ``--views`` names a
joint view model, from views that it generates of the input. A run resumes from the checkpoint in ``--out``. It ends
after the configuration's steps, or earlier after ``--minutes``, writes its checkpoint and can be resumed, on any number
of GPUs.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from training.back_projection import FusedSurfaceNetwork
from training.checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from training.config import SurfaceConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, process_group
from training.generated_views import ViewGenerator, load_view_model
from training.mixed_precision import MasterWeights
from training.object_library import ObjectLibrary
from training.run_clock import RunClock
from training.run_log import RunLog
from training.run_plot import plot_log
from training.run_state import RunState
from training.surface_buffers import SurfaceBuffers
from training.surface_errors import ErrorMeans
from training.surface_loss import surface_loss
from training.surface_model import CONFIG, load_network
from training.surface_scenes import SurfaceScenes, scenes_for_run

LOG_EVERY = 100
SPARE_SECONDS = 40
"""Of ``--minutes``, for the last checkpoint and the end of all processes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="TOML file with the fields of training.config.SurfaceConfig")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument(
        "--objects", type=Path, nargs="*", default=[], help="object packs; none: only procedural scenes"
    )
    parser.add_argument("--views", help='joint view model: checkpoint, folder or "starter"; none: only true views')
    parser.add_argument("--vae", type=Path, help="folder of training.vae whose VAE the view model gets")
    parser.add_argument("--minutes", type=float, help="stop after this long, all included, and write the checkpoint")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the configuration")
    args = parser.parse_args()
    deadline = time.monotonic() + 60 * args.minutes - SPARE_SECONDS if args.minutes else float("inf")
    group = process_group()
    config = load_config(SurfaceConfig, args.config, args.set)
    checkpoint = load_checkpoint(args.out) if has_checkpoint(args.out) else None
    library = None
    if args.objects:
        library = ObjectLibrary.from_packs(
            args.objects, group.device, realistic_weight=config.realistic_weight, solid_only=True
        )
    generator = None
    if args.views:
        model = load_view_model(args.views, args.vae, group.device)
        generator = ViewGenerator(model, config.generation_steps, config.guidance_scale)
    network = initial_network(config)
    step = checkpoint.step if checkpoint else 0
    workers = max(1, (os.cpu_count() or 2) // group.world_size - 2)
    scenes = scenes_for_run(
        config, library, generator, network.image_size, network.half_side, step, group.rank, workers, group.device
    )
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, step, group.rank, "training"))
    log = RunLog(args.out, group.is_main)
    train(network.to(group.device), config, checkpoint, scenes, group, log, args.out, deadline)
    if group.world_size > 1:
        dist.destroy_process_group()


def initial_network(config: SurfaceConfig) -> FusedSurfaceNetwork:
    """The network that a run starts from, on the CPU, trainable."""
    network = FusedSurfaceNetwork(**CONFIG)
    network.load_state_dict(load_network(config.initial_weights).state_dict())
    return network.train()


def train(
    network: FusedSurfaceNetwork,
    config: SurfaceConfig,
    checkpoint: Checkpoint | None,
    scenes: SurfaceScenes,
    group: ProcessGroup,
    log: RunLog,
    out: Path,
    deadline: float,
) -> None:
    """Train until ``config.steps`` or ``deadline`` (of ``time.monotonic``), going on from ``checkpoint``."""
    batch_size = config.scenes_per_step // group.world_size
    state = RunState(network, config, checkpoint, nn.Module.state_dict)
    weights = MasterWeights(network, group)
    weights.compute.decoder.float()  # differences of distances need more than 8 bits

    begin = time.monotonic()
    buffers = SurfaceBuffers(config, scenes, group.world_size)
    log.write(
        event="start", step=state.step, gpus=group.world_size, scenes=len(buffers),
        filled_in=time.monotonic() - begin, resumed=state.resumed,
    )  # fmt: skip
    begin = time.monotonic()
    means = ErrorMeans(group)

    clock = RunClock(group, deadline, lambda: state.save(out))
    while state.step < config.steps:
        learning_rate = state.set_learning_rate()
        batch = buffers.sample_batch(batch_size)
        loss, errors = surface_loss(weights.compute, batch, config, weights.dtype)
        loss.backward()
        weights.step(state.optimizer)
        buffers.update_priorities(errors.near)
        state.finish_step()
        means.add(loss.detach(), errors, batch)
        buffers.renew()
        if state.step % LOG_EVERY == 0:
            rate = (state.step - state.first_step) * config.scenes_per_step / (time.monotonic() - begin)
            log.write(step=state.step, **means.take(), learning_rate=learning_rate, scenes_per_second=rate)
        if clock.is_over(state.step):
            break
    if group.is_main:
        state.save(out)
        log.write(event="end", step=state.step, minutes=(time.monotonic() - begin) / 60)
        plot_log(out)


if __name__ == "__main__":
    main()

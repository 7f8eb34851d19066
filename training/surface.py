"""Train the starter surface network on exact distances (One-2-3-45, arXiv 2306.16928, section 3.3).

    torchrun --nproc-per-node 4 -m training.surface training/config/surface.toml --out OUT --objects PACK ... --views V

Scenes are procedural, or solid objects of packs. They are shown from their true views or, where ``--views`` names a
joint view model, from views that it generates of the input. A run resumes from the checkpoint in ``--out``. It ends
after the configuration's steps, or earlier after ``--minutes``, writes its checkpoint and can be resumed, on any number
of GPUs.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from training.back_projection import FusedSurfaceNetwork
from training.checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from training.config import SurfaceConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, process_group, worker_count
from training.generated_views import ViewGenerator, load_view_model
from training.mixed_precision import MasterWeights
from training.object_library import ObjectLibrary
from training.run_clock import RunClock, deadline_after
from training.run_command import end_run, run_parser
from training.run_log import RunLog
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
    parser = run_parser(__doc__, SurfaceConfig)
    parser.add_argument("--views", help='joint view model: checkpoint, folder or "starter"; none: only true views')
    parser.add_argument("--vae", type=Path, help="folder of training.vae whose VAE the view model gets")
    args = parser.parse_args()
    deadline = deadline_after(args.minutes, SPARE_SECONDS)
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
    workers = worker_count(group)
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
    network = FusedSurfaceNetwork(**CONFIG | {"resolution": config.resolution})
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
    end_run(state, group, log, out, begin)


if __name__ == "__main__":
    main()

"""Train the network that tells how high the camera of an input image was.

    torchrun --nproc-per-node 2 -m training.elevation training/config/elevation.toml --out OUT --objects PACK ...

A run resumes from the checkpoint in ``--out``. It ends after the configuration's steps, or earlier after ``--minutes``,
writes its checkpoint and can be resumed, on any number of GPUs.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from backend.views.zero123.conditioning import ELEVATION_UNIT
from training.checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from training.config import ElevationConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, mean_over_ranks, process_group, worker_count
from training.elevation_network import SHAPE, ElevationNetwork, laplace_loss
from training.elevation_scenes import ElevationScenes
from training.images import as_input
from training.mixed_precision import MasterWeights
from training.object_library import ObjectLibrary
from training.run_clock import RunClock, deadline_after
from training.run_command import end_run, run_parser
from training.run_log import RunLog
from training.run_state import RunState
from training.scene_buffer import SceneBuffer

LOG_EVERY = 100


def main() -> None:
    args = run_parser(__doc__, ElevationConfig).parse_args()
    deadline = deadline_after(args.minutes)
    group = process_group()
    config = load_config(ElevationConfig, args.config, args.set)
    checkpoint = load_checkpoint(args.out) if has_checkpoint(args.out) else None
    library = None
    if args.objects:
        library = ObjectLibrary.from_packs(args.objects, group.device, realistic_weight=config.realistic_weight)
    step = checkpoint.step if checkpoint else 0
    scenes = ElevationScenes(config, library, SHAPE["image_size"], step, group.rank, worker_count(group), group.device)
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, 0, 0, "weights"))
    network = ElevationNetwork(**SHAPE).to(group.device)
    torch.manual_seed(derive_seed(config.run, step, group.rank, "training"))
    train(network, config, checkpoint, scenes, group, RunLog(args.out, group.is_main), args.out, deadline)
    if group.world_size > 1:
        dist.destroy_process_group()


def train(
    network: ElevationNetwork,
    config: ElevationConfig,
    checkpoint: Checkpoint | None,
    scenes: ElevationScenes,
    group: ProcessGroup,
    log: RunLog,
    out: Path,
    deadline: float,
) -> None:
    """Train until ``config.steps`` or ``deadline`` (of ``time.monotonic``), going on from ``checkpoint``."""
    batch_size, chunk = config.scenes_per_step // group.world_size, config.scenes_per_chunk
    state = RunState(network, config, checkpoint, nn.Module.state_dict)
    weights = MasterWeights(network, group)
    buffer = SceneBuffer(max(1, config.buffer_scenes // group.world_size // chunk) * chunk)
    while len(buffer) < max(1, config.initial_scenes // group.world_size):
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
    end_run(state, group, log, out, begin)


if __name__ == "__main__":
    main()

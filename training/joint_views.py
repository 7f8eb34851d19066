"""Train the joint view model: one UNet call denoises all views of an object (issue 14; docs/experiments.md).

    torchrun --nproc-per-node 4 -m training.joint_views training/config/joint_views.toml --out OUT --objects PACK ...

A run resumes from the checkpoint in ``--out``. It ends after the configuration's steps, or earlier after ``--minutes``,
writes its checkpoint and can be resumed, on any number of GPUs.
"""

from __future__ import annotations

import copy
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from backend.views.zero123.model import Zero123
from training.cameras import view_count
from training.checkpoint import Checkpoint, has_checkpoint, load_checkpoint
from training.config import JointViewsConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, mean_over_ranks, process_group, worker_count
from training.group_norm import fuse
from training.joint_diffusion import JointDenoiser, JointObjective
from training.joint_model import initial_model
from training.joint_scenes import Encode, JointScenes, fill, scenes_for_run
from training.mixed_precision import MasterWeights
from training.object_library import ObjectLibrary
from training.run_clock import RunClock, deadline_after
from training.run_command import end_run, run_parser
from training.run_log import RunLog
from training.run_state import RunState
from training.scene_buffer import SceneBuffer
from training.vae_model import load_vae

LOG_EVERY = 100


def main() -> None:
    parser = run_parser(__doc__, JointViewsConfig)
    parser.add_argument("--vae", type=Path, help="folder of training.vae; none: the VAE of the initial weights")
    args = parser.parse_args()
    deadline = deadline_after(args.minutes)
    group = process_group()
    config = load_config(JointViewsConfig, args.config, args.set)
    checkpoint = load_checkpoint(args.out) if has_checkpoint(args.out) else None
    model = initial_model(config)
    if args.vae:
        model.vae = load_vae(args.vae)
    model.train().requires_grad_(True)
    model.vae.requires_grad_(False)
    library = None
    if args.objects:
        library = ObjectLibrary.from_packs(args.objects, group.device, realistic_weight=config.realistic_weight)
    step = checkpoint.step if checkpoint else 0
    scenes = scenes_for_run(config, library, model.image_size, step, group.rank, worker_count(group), group.device)
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, step, group.rank, "training"))
    log = RunLog(args.out, group.is_main)
    train(model.to(group.device), config, checkpoint, scenes, group, log, args.out, deadline)
    if group.world_size > 1:
        dist.destroy_process_group()


def train(
    model: Zero123,
    config: JointViewsConfig,
    checkpoint: Checkpoint | None,
    scenes: JointScenes,
    group: ProcessGroup,
    log: RunLog,
    out: Path,
    deadline: float,
) -> None:
    """Train until ``config.steps`` or ``deadline`` (of ``time.monotonic``), going on from ``checkpoint``."""
    batch_size = config.scenes_per_step // group.world_size
    denoiser, objective = JointDenoiser(model), JointObjective(model, config, group.device)
    state = RunState(denoiser, config, checkpoint, trained_tensors)
    weights = MasterWeights(denoiser, group)
    encode = make_encoder(model, weights.dtype, group.device)

    begin, chunk = time.monotonic(), config.scenes_per_chunk
    buffer = SceneBuffer(max(1, config.buffer_scenes // group.world_size // chunk) * chunk)
    fill(buffer, scenes, max(1, config.initial_scenes // group.world_size), encode)
    insert_every = max(1, round(chunk * config.scene_reuse / batch_size))
    log.write(
        event="start", step=state.step, gpus=group.world_size, scenes=len(buffer),
        filled_in=time.monotonic() - begin, resumed=state.resumed,
    )  # fmt: skip
    begin = time.monotonic()
    sums = torch.zeros(6, device=group.device)

    clock = RunClock(group, deadline, lambda: state.save(out))
    while state.step < config.steps:
        learning_rate = state.set_learning_rate()
        batch = buffer.sample_batch(batch_size)
        loss, report = objective(weights.compute, batch, weights.dtype)
        loss.backward()
        weights.step(state.optimizer)
        state.finish_step()
        with torch.no_grad():
            is_object = batch["is_object"].float()
            values = (report["error"], is_object, report["error"] * is_object, report["elevation_error"])
            sums[:4] += torch.stack([value.mean() for value in values])
        if state.step % insert_every == 0:
            buffer.insert(scenes.next_chunk(encode))
        if state.step % LOG_EVERY == 0:
            error, objects, object_error, elevation_error = (mean_over_ranks(sums, group)[:4] / LOG_EVERY).tolist()
            sums.zero_()
            log.write(
                step=state.step, error=error, error_objects=object_error / max(objects, 1e-9),
                error_procedural=(error - object_error) / max(1 - objects, 1e-9), elevation_error=elevation_error,
                learning_rate=learning_rate,
                views_per_second=(state.step - state.first_step) * config.scenes_per_step
                * view_count(config.view_plan) / (time.monotonic() - begin),
            )  # fmt: skip
        if clock.is_over(state.step):
            break
    end_run(state, group, log, out, begin)


def trained_tensors(denoiser: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that training changes: cross-attention to a single token does not depend on queries and keys."""
    unused = (".attn2.to_q.", ".attn2.to_k.")
    return {
        name: tensor
        for name, tensor in denoiser.state_dict().items()
        if tensor.is_floating_point() and not any(module in name for module in unused)
    }


def make_encoder(model: Zero123, dtype: torch.dtype, device: torch.device) -> Encode:
    """The VAE's encoder as ``Encode``, in ``dtype``."""
    vae = copy.deepcopy(model.vae).to(dtype)
    if device.type == "cuda":
        vae.to(memory_format=torch.channels_last)
        fuse(vae)

    def encode(pictures: torch.Tensor) -> torch.Tensor:
        pictures = pictures.to(dtype).contiguous(memory_format=torch.channels_last)
        return vae.encode(pictures).latent_dist.mode()

    return encode


if __name__ == "__main__":
    main()

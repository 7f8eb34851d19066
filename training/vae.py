"""Train the VAE of the starter view model: colors, and the object's mask as a fourth channel.

    torchrun --nproc-per-node 4 -m training.vae training/config/vae.toml --out DIR --objects PACK ...

``config/vae.toml`` trains all of an untrained VAE, ``config/decoder.toml`` only the decoder of the shipped one, so that
every latent stays as it is. ``DIR`` receives the VAE and ``log.jsonl``. This takes a minute or two: it is not resumed.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import AutoencoderKL

from backend.paths import STARTER_WEIGHTS
from backend.views.zero123.model import Zero123
from training.config import JointViewsConfig, VaeConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, mean_over_ranks, process_group, worker_count
from training.images import as_input
from training.joint_scenes import scenes_for_run
from training.mixed_precision import MasterWeights, lr_factor
from training.object_library import ObjectLibrary
from training.run_log import RunLog
from training.scene_buffer import SceneBuffer
from training.vae_loss import reconstruction_loss
from training.vae_model import save_vae, scale_latents, with_mask
from training.view_model import build

LOG_EVERY = 100
LATENTS_MEASURED = 256
"""Pictures whose latents are scaled to a standard deviation of 1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="TOML file with the fields of training.config.VaeConfig")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objects", type=Path, nargs="*", default=[], help="object packs")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change the configuration")
    args = parser.parse_args()
    config = load_config(VaeConfig, args.config, args.set)
    group = process_group()
    scene_config = load_config(JointViewsConfig, args.config.parent / config.scenes)
    scene_config = dataclasses.replace(scene_config, run=config.run)
    model = build() if config.initial_weights == "untrained" else Zero123.load(STARTER_WEIGHTS / "view")
    library = ObjectLibrary.from_packs(args.objects, group.device) if args.objects else None
    scenes = scenes_for_run(scene_config, library, model.image_size, 0, group.rank, worker_count(group), group.device)
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, 0, group.rank, "training"))
    vae = with_mask(model.vae).to(group.device)
    train(vae, config, lambda: scenes.render_chunk().pictures, RunLog(args.out, group.is_main), group)
    if group.is_main:
        save_vae(vae, args.out)
    if group.world_size > 1:
        dist.destroy_process_group()


def train(
    vae: AutoencoderKL, config: VaeConfig, render: Callable[[], torch.Tensor], log: RunLog, group: ProcessGroup
) -> None:
    """Train ``vae`` in place. ``render`` makes new pictures (N, V, S, S, 4) uint8, color on white and coverage."""
    vae.requires_grad_(config.train_encoder)
    for part in (vae.decoder, vae.post_quant_conv):
        assert part is not None
        part.requires_grad_(True)
    images = config.images_per_step // group.world_size
    parameters = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    weights = MasterWeights(vae, group)
    first = render()
    chunk = len(first)
    buffer = SceneBuffer(max(1, config.buffer_scenes // group.world_size // chunk) * chunk)
    buffer.insert({"pictures": first})
    while len(buffer) < buffer.capacity // 2:
        buffer.insert({"pictures": render()})
    insert_every = max(1, round(chunk * first.shape[1] * config.scene_reuse / images))
    begin = time.monotonic()
    for step in range(1, config.steps + 1):
        optimizer.param_groups[0]["lr"] = config.learning_rate * lr_factor(step, config.steps, config.warmup_steps)
        stored = buffer.sample_batch(images)["pictures"]
        view = torch.randint(0, stored.shape[1], (images,), device=group.device)
        pictures = as_input(stored[torch.arange(images, device=group.device), view])
        with torch.set_grad_enabled(config.train_encoder):
            colors = pictures[:, :3].to(weights.dtype).contiguous(memory_format=torch.channels_last)
            posterior = weights.compute.encode(colors).latent_dist
        latents = posterior.sample() if config.train_encoder else posterior.mode()
        noise = config.latent_noise * torch.rand(images, 1, 1, 1, device=group.device)
        latents = latents + (noise * torch.randn_like(latents)).to(latents.dtype)
        decoded = weights.compute.decode(latents, return_dict=False)[0].float()
        loss = reconstruction_loss(decoded, pictures, config.mask_weight)
        if config.train_encoder:
            loss = loss + config.kl_weight * posterior.kl().float().mean() / latents[0].numel()
        loss.backward()
        weights.step(optimizer)
        if step % insert_every == 0:
            buffer.insert({"pictures": render()})
        if step % LOG_EVERY == 0 or step == config.steps:
            psnr = -10 * math.log10((decoded - pictures)[:, :3].square().mean().item() / 4)
            wrong = ((decoded[:, 3] > 0) != (pictures[:, 3] > 0)).float().mean().item()
            log.write(step=step, loss=loss.item(), psnr=psnr, wrong_mask=wrong, minutes=(time.monotonic() - begin) / 60)
    if config.train_encoder:
        stored = buffer.sample_batch(LATENTS_MEASURED)["pictures"][:, 0, ..., :3]
        with torch.no_grad():
            latents = vae.encode(as_input(stored)).latent_dist.mode()
        scale_latents(vae, mean_over_ranks(latents.std(), group))


if __name__ == "__main__":
    main()

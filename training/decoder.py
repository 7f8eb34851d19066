"""Train the VAE's decoder: colors, and the object's mask as a fourth channel. The encoder, and so every latent, stays.

    torchrun --nproc-per-node 4 -m training.decoder training/config/decoder.toml --out DIR --objects PACK ...

Latents are made noisy, as those of generated views are. ``DIR`` receives the VAE and ``log.jsonl``. This takes about a
minute: it is not resumed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import nn

from backend.paths import STARTER_WEIGHTS
from backend.views.zero123.model import Zero123
from training.cameras import VIEWS
from training.config import JointViewsConfig, derive_seed, load_config
from training.distributed import ProcessGroup, init_distributed, process_group
from training.joint_scenes import Encode, JointScenes, scenes_for_run
from training.joint_views import make_encoder
from training.mixed_precision import MasterWeights, lr_factor
from training.object_library import ObjectLibrary
from training.pool import as_input
from training.run_log import RunLog
from training.scene_buffer import SceneBuffer
from training.vae import color, detail

LOG_EVERY = 100
WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class DecoderConfig:
    """A run of ``training.decoder``; the values of record are in ``config/decoder.toml``."""

    run: str
    """Name of the run; all random numbers follow from it."""
    steps: int
    warmup_steps: int
    images_per_step: int
    """Over all GPUs."""
    learning_rate: float
    latent_noise: float
    """Largest standard deviation of the noise added to latents, whose own is about 1."""
    mask_weight: float
    """Of the mask's error beside the colors'."""
    scenes: str
    """Configuration of ``training.joint_views`` whose scenes are used, beside this one."""
    buffer_scenes: int
    """Scenes in memory, over all GPUs; training starts with half of them."""
    scene_reuse: float
    """How often an image is sampled before a new one replaces it, on average."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="TOML file with the fields of DecoderConfig")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objects", type=Path, nargs="*", default=[], help="object packs")
    args = parser.parse_args()
    config = DecoderConfig(**tomllib.loads(args.config.read_text(encoding="utf-8")))
    group = process_group()
    scene_config = load_config(JointViewsConfig, args.config.parent / config.scenes)
    scene_config = dataclasses.replace(scene_config, run=config.run)
    model = Zero123.load(STARTER_WEIGHTS / "view")
    library = ObjectLibrary.from_packs(args.objects, group.device) if args.objects else None
    workers = max(1, (os.cpu_count() or 2) // group.world_size - 2)
    scenes = scenes_for_run(scene_config, library, model.image_size, 0, group.rank, workers, group.device)
    init_distributed(group)
    torch.manual_seed(derive_seed(config.run, 0, group.rank, "training"))
    vae = train(model.to(group.device), config, scene_config, scenes, RunLog(args.out, group.is_main), group)
    if group.is_main:
        save_vae(vae, args.out)
    if group.world_size > 1:
        dist.destroy_process_group()


def with_mask(vae: AutoencoderKL) -> AutoencoderKL:
    """The same VAE with a fourth output, which starts at the middle of its range; only the decoder is trainable."""
    config = dict(vae.config) | {"out_channels": 4}
    config.pop("_use_default_values", None)  # it would set what is changed here back to its default
    wider = AutoencoderKL.from_config(config)
    assert isinstance(wider, AutoencoderKL)
    state = vae.state_dict()
    for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
        state[name] = torch.cat([state[name], torch.zeros_like(state[name][:1])])
    wider.load_state_dict(state)
    wider.requires_grad_(False)
    for part in (wider.decoder, wider.post_quant_conv):
        part.requires_grad_(True)
    return wider


def train(
    model: Zero123,
    config: DecoderConfig,
    scene_config: JointViewsConfig,
    scenes: JointScenes,
    log: RunLog,
    group: ProcessGroup,
) -> AutoencoderKL:
    """The VAE after ``config.steps``."""
    images = config.images_per_step // group.world_size
    vae = with_mask(model.vae).to(group.device)
    decoder = Decoder(vae)
    parameters = [parameter for parameter in decoder.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    weights = MasterWeights(decoder, group)
    encode = make_encoder(model, weights.dtype, group.device)
    chunk = scene_config.scenes_per_chunk
    buffer = SceneBuffer(max(1, config.buffer_scenes // group.world_size // chunk) * chunk)
    while len(buffer) < buffer.capacity // 2:
        buffer.insert(render(scenes, encode))
    insert_every = max(1, round(chunk * VIEWS * config.scene_reuse / images))
    begin = time.monotonic()
    for step in range(1, config.steps + 1):
        optimizer.param_groups[0]["lr"] = config.learning_rate * lr_factor(step, config.steps, config.warmup_steps)
        batch = buffer.sample_batch(images)
        view = torch.randint(0, VIEWS, (images,), device=group.device)
        row = torch.arange(len(view), device=group.device)
        latents, pictures = batch["latents"][row, view].float(), batch["pictures"][row, view]
        noise = config.latent_noise * torch.rand(len(view), 1, 1, 1, device=group.device)
        latents = (latents + noise * torch.randn_like(latents)).to(weights.dtype)
        decoded = weights.compute(latents.contiguous(memory_format=torch.channels_last)).float()
        error = decoded[:, :3] - as_input(pictures[..., :3])
        mask_error = decoded[:, 3] - (pictures[..., 3].float() / 127.5 - 1)
        loss = error.abs().mean() + 2 * error.square().mean() + detail(error).abs().mean() + color(error)
        loss = loss + config.mask_weight * (mask_error.abs().mean() + mask_error.square().mean())
        loss.backward()
        weights.step(optimizer)
        if step % insert_every == 0:
            buffer.insert(render(scenes, encode))
        if step % LOG_EVERY == 0 or step == config.steps:
            psnr = -10 * math.log10(error.square().mean().item() / 4)
            wrong = ((decoded[:, 3] > 0) != (pictures[..., 3] > 127)).float().mean().item()
            log.write(step=step, loss=loss.item(), psnr=psnr, wrong_mask=wrong, minutes=(time.monotonic() - begin) / 60)
    return vae


class Decoder(nn.Module):
    """The part of a VAE that ``training.decoder`` trains."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.post_quant_conv, self.decoder = vae.post_quant_conv, vae.decoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (B, c, h, w), not scaled -> images with masks (B, 4, H, W), about -1..1."""
        return self.decoder(self.post_quant_conv(latents))


def render(scenes: JointScenes, encode: Encode) -> dict[str, torch.Tensor]:
    """Random scenes: ``pictures`` (N, V, S, S, 4) uint8 and ``latents`` (N, V, c, h, w) float16."""
    pictures, _, _ = scenes.render_chunk()
    with torch.no_grad():
        latents = encode(as_input(pictures[..., :3].flatten(0, 1))).unflatten(0, pictures.shape[:2])
    return {"pictures": pictures, "latents": latents.half()}


def save_vae(vae: AutoencoderKL, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous().cpu() for k, v in vae.state_dict().items()}, folder / WEIGHTS)
    vae.save_config(folder)


def load_vae(folder: Path) -> AutoencoderKL:
    """The VAE that ``save_vae`` wrote."""
    vae = AutoencoderKL.from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    assert isinstance(vae, AutoencoderKL)
    vae.load_state_dict(load_file(folder / WEIGHTS))
    return vae.requires_grad_(False).eval()


if __name__ == "__main__":
    main()

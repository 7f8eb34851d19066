"""Train the starter view model's VAE on true pictures."""

from __future__ import annotations

import math
import time

import torch
import torch.distributed as dist
from torch.nn import functional as F

from backend.views.zero123.model import Zero123
from training.pool import as_input
from training.twin import HalfTwin, all_agree

BATCH = 128
"""Pictures a step on each GPU."""


def detail(x: torch.Tensor) -> torch.Tensor:
    """Differences of neighboring pixels, down and across, at two scales."""
    half = F.avg_pool2d(x, 2)
    return torch.cat([each.flatten(1) for part in (x, half) for each in (part.diff(dim=2), part.diff(dim=3))], 1)


def color(error: torch.Tensor) -> torch.Tensor:
    """How far hues are off, and areas as a whole.

    Without this a VAE settles where one axis of color (green to magenta) is given up: edges are worth more.
    """
    return 2 * (error - error.mean(1, keepdim=True)).abs().mean() + 4 * F.avg_pool2d(error, 8).abs().mean()


def train_vae(model: Zero123, shown: torch.Tensor, minutes: float, rank: int, world: int) -> None:
    """Train the VAE on pictures (N, S, S, 3) uint8 in GPU memory, then scale its latents to unit variance."""
    vae, begin, going = model.vae, time.time(), True
    twin = HalfTwin(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    step = 0
    while going:
        done = min((time.time() - begin) / (60 * minutes), 1.0)
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, step / 100) * min(1.0, 2.5 * (1 - done) + 0.01)
        index = torch.randint(0, len(shown), (BATCH,), device=shown.device)
        pictures = as_input(shown[index]).contiguous(memory_format=torch.channels_last)
        latents = twin.copy.encode(pictures.bfloat16()).latent_dist
        rebuilt = twin.copy.decode(latents.sample(), return_dict=False)[0]
        error = rebuilt.float() - pictures
        loss = (
            error.abs().mean()
            + 2 * error.square().mean()
            + detail(error).abs().mean()
            + color(error)
            + 2e-5 * latents.kl().float().mean() / 4096
        )
        loss.backward()
        twin.step(optimizer, world)
        step += 1
        if rank == 0 and step % 200 == 0:
            decibel = -10 * math.log10(error.square().mean().item() / 4)
            print(f"vae step {step} loss {loss.item():.4f} psnr {decibel:.2f}", flush=True)
        if step % 50 == 0:
            going = all_agree(time.time() < begin + 60 * minutes, shown.device)
    with torch.no_grad():
        latents = model.encode(as_input(shown[:256]))
        deviation = latents.std()
        if dist.is_initialized():
            dist.broadcast(deviation, 0)
        vae.quant_conv.weight[:4] /= deviation
        vae.quant_conv.bias[:4] /= deviation
        vae.post_quant_conv.weight *= deviation
    if rank == 0:
        print(f"vae: {step} steps, latents' deviation was {deviation.item():.3f}", flush=True)

"""From noise to pictures: guided sampling with the view model (arXiv 2303.11328; DPM-Solver++: arXiv 2211.01095).

Latents and the solver's arithmetic stay in float32 whatever the model's precision. All noise is drawn on the CPU from
one generator per view, so neither the device nor the batch a view falls into changes the view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from ...progress import OnProgress, ignore_progress
from .model import Zero123

BATCH = 16
"""Views sampled together; with guidance the UNet sees twice as many."""
DECODE_BATCH = 4
"""Pictures in the VAE at once; it needs six times the UNet's memory for each."""

Scheduler = DDIMScheduler | DPMSolverMultistepScheduler


def reference_scheduler(schedule: dict, steps: int) -> DDIMScheduler:
    """The original code's DDIM: asked for 75 or 50 steps it takes 76 or 49, from 976 or 961 down to 1.

    Its stride is rounded down, and of the steps that this gives the noisiest is dropped.
    """
    scheduler = DDIMScheduler.from_config(schedule, clip_sample=False, set_alpha_to_one=False)
    scheduler.set_timesteps(steps)
    count = scheduler.config.num_train_timesteps
    scheduler.timesteps = torch.arange(1, count + 1, count // steps).flip(0)[1:]
    return scheduler


def fast_scheduler(schedule: dict, steps: int) -> DPMSolverMultistepScheduler:
    """DPM-Solver++ 2M: second order, deterministic, needs a third of DDIM's steps. Starts at the noisiest step."""
    scheduler = DPMSolverMultistepScheduler.from_config(
        schedule, solver_order=2, algorithm_type="dpmsolver++", timestep_spacing="trailing", final_sigmas_type="zero"
    )
    scheduler.set_timesteps(steps)
    return scheduler


@torch.inference_mode()
def sample(
    model: Zero123,
    sources: np.ndarray,
    relative_poses: np.ndarray,
    steps: int,
    guidance: float,
    seeds: Sequence[int],
    on_progress: OnProgress = ignore_progress,
    source_of: Sequence[int] | None = None,
    eta: float | None = None,
    batch: int = BATCH,
) -> np.ndarray:
    """New views (N, H, W, 3) float32 0..1.

    ``sources`` (S, H, W, 3) 0..1 on white at the model's image size and ``source_of`` (N,), which of them each view
    starts from (left out: one source per view); ``relative_poses`` (N, 4) of ``camera.relative_pose``; one seed per
    view. ``guidance`` 1 leaves the unconditional branch out. ``eta`` chooses the original's DDIM with that share of
    fresh noise per step (the original uses 1); left out, DPM-Solver++ is used. ``on_progress`` is
    called after every step.
    """
    device = model.device
    source_of = torch.arange(len(sources)) if source_of is None else torch.as_tensor(source_of)
    conditions, embeddings = _encode(model, sources)
    poses = torch.as_tensor(relative_poses, dtype=torch.float32)
    shape = (model.latent_channels, model.latent_size, model.latent_size)
    make_scheduler = fast_scheduler if eta is None else reference_scheduler
    total = len(make_scheduler(model.schedule, steps).timesteps) * math.ceil(len(poses) / batch)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done / total)

    pictures = []
    for start in range(0, len(poses), batch):
        views = slice(start, start + batch)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[views]]
        condition = conditions[source_of[views].to(device)]
        tokens = model.tokens(embeddings[source_of[views].to(device)], poses[views].to(device))
        scheduler = make_scheduler(model.schedule, steps)  # a fresh one: it remembers earlier predictions
        noise = _noise(generators, shape)
        latents = denoise(model, scheduler, next(noise), condition, tokens, guidance, eta, noise, advance)
        for part in latents.split(DECODE_BATCH):
            pictures.append(((model.decode(part) + 1) / 2).clamp(0, 1).cpu())
    return torch.cat(pictures).permute(0, 2, 3, 1).contiguous().numpy()


def denoise(
    model: Zero123,
    scheduler: Scheduler,
    latents: torch.Tensor,
    condition: torch.Tensor,
    tokens: torch.Tensor,
    guidance: float,
    eta: float | None,
    noise: Iterator[torch.Tensor],
    advance: Callable[[], None],
) -> torch.Tensor:
    """Run all the scheduler's steps on one batch: noise (B, c, h, w) float32 -> scaled latents of the same shape.

    ``condition`` (B, c, h, w) and ``tokens`` (B, 1, cross) as ``Zero123`` makes them; ``eta`` for DDIM, which takes one
    tensor from ``noise`` per step where eta is above 0, None otherwise. The unconditional branch sees a zero latent and
    a zero token: zero after the projection, so without its bias.
    """
    latents = latents.to(condition.device)
    guided = guidance != 1
    if guided:
        condition = torch.cat([torch.zeros_like(condition), condition])
        tokens = torch.cat([torch.zeros_like(tokens), tokens])
    for t in scheduler.timesteps.tolist():
        prediction = model.denoise(latents.repeat(2, 1, 1, 1) if guided else latents, t, condition, tokens)
        if guided:
            unconditional, conditional = prediction.chunk(2)
            prediction = unconditional + guidance * (conditional - unconditional)
        extra = {}
        if eta is not None:
            extra = {"eta": eta, "variance_noise": next(noise).to(latents) if eta > 0 else None}
        latents = scheduler.step(prediction, t, latents, return_dict=False, **extra)[0]
        advance()
    return latents


def _encode(model: Zero123, sources: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.as_tensor(sources, dtype=torch.float32).permute(0, 3, 1, 2) * 2 - 1
    parts = [model.encode_condition(part.to(model.device)) for part in images.split(DECODE_BATCH)]
    return torch.cat([latent for latent, _ in parts]), torch.cat([embedding for _, embedding in parts])


def _noise(generators: list[torch.Generator], shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    """Standard normal noise (views, *shape) on the CPU, without end."""
    while True:
        yield torch.stack([torch.randn(shape, generator=generator) for generator in generators])

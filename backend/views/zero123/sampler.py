"""From noise to images: guided sampling with the view model (arXiv 2303.11328; DPM-Solver++: arXiv 2211.01095).

Latents and the solver's arithmetic stay in float32 whatever the model's precision. All noise comes from one
generator per view on the CPU, so neither the device nor the batch that a view falls into changes the view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ...progress import OnProgress, ignore_progress
from .batches import BATCH_SIZE, DECODE_BATCH_SIZE, Batches
from .model import Zero123

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler


def reference_scheduler(schedule: dict, steps: int) -> DDIMScheduler:
    """The reference code's DDIM: asked for 75 or 50 steps it takes 76 or 49, from 976 or 961 down to 1.

    Its stride is rounded down, and of the steps that this gives the noisiest is dropped.
    """
    from diffusers import DDIMScheduler  # takes seconds

    scheduler = cast(DDIMScheduler, DDIMScheduler.from_config(schedule, clip_sample=False, set_alpha_to_one=False))
    scheduler.set_timesteps(steps)
    count = scheduler.config["num_train_timesteps"]
    scheduler.timesteps = torch.arange(1, count + 1, count // steps).flip(0)[1:]
    return scheduler


def fast_scheduler(schedule: dict, steps: int) -> DPMSolverMultistepScheduler:
    """DPM-Solver++ 2M: second order, deterministic, needs a third of DDIM's steps. Starts at the noisiest step."""
    from diffusers import DPMSolverMultistepScheduler  # takes seconds

    scheduler = DPMSolverMultistepScheduler.from_config(
        schedule, solver_order=2, algorithm_type="dpmsolver++", timestep_spacing="trailing", final_sigmas_type="zero"
    )
    scheduler = cast(DPMSolverMultistepScheduler, scheduler)
    scheduler.set_timesteps(steps)
    return scheduler


@torch.inference_mode()
def sample(
    model: Zero123,
    sources: np.ndarray,
    relative_poses: np.ndarray,
    num_inference_steps: int,
    guidance_scale: float,
    generator: Sequence[torch.Generator],
    source_of: Sequence[int] | None = None,
    eta: float | None = None,
    callback_on_step_end: OnProgress = ignore_progress,
    batches: Batches | None = None,
) -> np.ndarray:
    """New views (N, H, W, 3) float32 0..1.

    ``sources`` (S, H, W, 3) 0..1 on white at the model's image size and ``source_of`` (N,), the source's index for each
    view (left out: one source per view); ``relative_poses`` (N, 4) of ``Zero123.pose``; ``generator``: one per view, on
    the CPU. ``guidance_scale`` 1 leaves the unconditional branch out. ``eta`` selects the reference's DDIM with that
    share of fresh noise per step (the reference uses 1); None: DPM-Solver++. ``callback_on_step_end`` is called after
    every step with the fraction of all steps that is done.

    ``batches``: those of the job, which get smaller where the GPU's memory does not suffice; left out: ``BATCH_SIZE``
    views at once. Raises torch.OutOfMemoryError where not even one view fits.
    """
    batches = batches or Batches(BATCH_SIZE)
    image_batches = Batches(DECODE_BATCH_SIZE)
    device = model.device
    source_index = torch.as_tensor(range(len(sources)) if source_of is None else source_of, device=device)
    poses = torch.as_tensor(relative_poses, dtype=torch.float32, device=device)
    shape = (model.latent_channels, model.latent_size, model.latent_size)
    make_scheduler = fast_scheduler if eta is None else reference_scheduler
    states = [each.get_state() for each in generator]
    with model.on_device(*model.encoders):
        conditions, embeddings = _encode(model, sources, image_batches)

    def denoise_batch(batch: slice) -> torch.Tensor:
        for each, state in zip(generator[batch], states[batch], strict=True):
            each.set_state(state)  # an earlier try may have drawn some noise
        condition = conditions[source_index[batch]]
        tokens = model.tokens(embeddings[source_index[batch]], poses[batch])
        scheduler = make_scheduler(model.schedule, num_inference_steps)  # a fresh one: it stores earlier predictions

        def on_step_end(fraction: float) -> None:
            callback_on_step_end((batch.start + fraction * len(condition)) / len(poses))

        noise = _noise(generator[batch], shape, device)
        return denoise(model, scheduler, next(noise), condition, tokens, guidance_scale, eta, noise, on_step_end)

    with model.on_device(model.unet):
        batches.fit(model.unet_bytes_per_image * (1 if guidance_scale == 1 else 2), device)
        latents = torch.cat(batches.run(len(poses), denoise_batch, model.free_cached_memory))
    with model.on_device(*model.decoders):
        decode_batch = partial(_decode, model, latents)
        decoded = image_batches.run(len(poses), decode_batch, model.free_cached_memory)
    batches.ran_out_of_memory |= image_batches.ran_out_of_memory
    return torch.cat(decoded).cpu().numpy()


def denoise(
    model: Zero123,
    scheduler: DDIMScheduler | DPMSolverMultistepScheduler,
    latents: torch.Tensor,
    condition: torch.Tensor,
    tokens: torch.Tensor,
    guidance_scale: float,
    eta: float | None,
    noise: Iterator[torch.Tensor],
    on_step_end: OnProgress,
) -> torch.Tensor:
    """Run all the scheduler's steps on one batch: noise (B, c, h, w) float32 -> scaled latents of the same shape.

    ``condition`` (B, c, h, w) and ``tokens`` (B, 1, cross) as ``Zero123`` makes them; ``eta`` for DDIM, which takes one
    tensor from ``noise`` per step where eta is above 0, None otherwise. The unconditional branch sees a zero latent and
    a zero token: zero after the projection, so without its bias. All tensors are on the model's device. While a GPU
    computes a step, the next one is prepared.
    """
    guided = guidance_scale != 1
    if guided:
        condition = torch.cat([torch.zeros_like(condition), condition])
        tokens = torch.cat([torch.zeros_like(tokens), tokens])
    steps = scheduler.timesteps.tolist()
    timesteps = scheduler.timesteps.to(latents)  # all at once: to copy one waits for the step before it
    earlier = None
    for step, t in enumerate(steps, 1):
        noisy = latents.repeat(2, 1, 1, 1) if guided else latents
        prediction = model.denoise(noisy, timesteps[step - 1], condition, tokens)
        if guided:
            unconditional, conditional = prediction.chunk(2)
            prediction = unconditional + guidance_scale * (conditional - unconditional)
        extra = {}
        if eta is not None:
            extra = {"eta": eta, "variance_noise": next(noise) if eta > 0 else None}
        latents = scheduler.step(prediction, t, latents, return_dict=False, **extra)[0]
        if latents.is_cuda:
            # Not more than one step ahead of the GPU: what is reported is nearly true, and a job can be cancelled.
            event = torch.cuda.Event()
            event.record()
            if earlier is not None:
                earlier.synchronize()
            earlier = event
        on_step_end(step / len(steps))
    return latents


def _encode(model: Zero123, sources: np.ndarray, batches: Batches) -> tuple[torch.Tensor, torch.Tensor]:
    # Contiguous: on a CPU, group norm loses four digits where channels come last.
    images = (torch.as_tensor(sources, dtype=torch.float32).permute(0, 3, 1, 2) * 2 - 1).contiguous()
    encoded = batches.run(
        len(images), lambda batch: model.encode_condition(images[batch].to(model.device)), model.free_cached_memory
    )
    return torch.cat([latent for latent, _ in encoded]), torch.cat([embedding for _, embedding in encoded])


def _decode(model: Zero123, latents: torch.Tensor, batch: slice) -> torch.Tensor:
    """Those of the scaled latents (N, c, h, w) that are in ``batch`` -> images (B, H, W, 3) float32 0..1."""
    images = ((model.decode(latents[batch])[:, :3] + 1) / 2).clamp(0, 1)
    return images.permute(0, 2, 3, 1).contiguous()


def _noise(
    generators: Sequence[torch.Generator], shape: tuple[int, ...], device: torch.device
) -> Iterator[torch.Tensor]:
    """Standard normal noise (views, *shape) on ``device``, without end."""
    is_cuda = device.type == "cuda"
    while True:
        noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        # Only from pinned memory is it copied without waiting for what the GPU is doing.
        yield (noise.pin_memory() if is_cuda else noise).to(device, non_blocking=is_cuda)

"""From noise to images, all views of a scene in the same UNet calls (as in arXiv 2308.16512 and 2310.15110).

The given views of a scene, its input image first, take part in every call, clean and at timestep 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...camera import relative_pose
from ...progress import OnProgress, ignore_progress
from .batches import DECODE_BATCH_SIZE
from .joint_attention import use_joint_attention
from .latent_colors import LatentColors
from .model import Zero123
from .sampler import fast_scheduler


@torch.inference_mode()
def sample_jointly(
    model: Zero123,
    given: torch.Tensor,
    angles: torch.Tensor,
    noise: torch.Tensor,
    num_inference_steps: int,
    guidance_scale: float,
    callback_on_step_end: OnProgress = ignore_progress,
    decode_batch_size: int = DECODE_BATCH_SIZE,
    on_denoised: Callable[[torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """The views of B scenes that are not given, (B, V - G, C, H, W) float32 0..1; C is 4 where the VAE decodes the mask
    of the object too, else 3.

    ``given`` (B, G, 3, H, W) float32 in -1..1, on white, at the model's image size, the input image first; ``angles``
    (B, V, 2) elevations and azimuths in degrees of all views, the given ones first; ``noise`` (B, V - G, c, h, w)
    standard normal. ``guidance_scale`` 1 leaves the unconditional branch out. All tensors on the model's device;
    ``callback_on_step_end`` is called after every step with the fraction of all steps that is done. ``on_denoised`` is
    called, after every step but the last, with what the views would be according to it, in few pixels and approximate
    colors: (B * (V - G), h, w, 3) float32 0..1 on the CPU.
    """
    (batch, views), count = angles.shape[:2], given.shape[1]
    use_joint_attention(model.unet, views)
    condition, embedding = model.encode_condition(given[:, 0])
    others = model.encode(given[:, 1:].flatten(0, 1)).unflatten(0, (batch, count - 1)) if count > 1 else None
    clean = condition[:, None] if others is None else torch.cat([condition[:, None], others], 1)
    clean = clean * model.scaling_factor
    change = (angles - angles[:, :1]).flatten(0, 1).cpu().numpy()
    poses = torch.from_numpy(relative_pose(-change[:, 0], change[:, 1])).to(embedding)
    tokens = model.tokens(embedding.repeat_interleave(views, 0), poses)
    condition = condition.repeat_interleave(views, 0)
    scheduler = fast_scheduler(model.schedule, num_inference_steps)
    latents, steps = noise, scheduler.timesteps.tolist()
    colors = LatentColors(given.flatten(0, 1), clean.flatten(0, 1)) if on_denoised is not None else None
    for step, t in enumerate(steps, 1):
        timesteps = torch.full((batch, views), float(t), device=angles.device)
        timesteps[:, :count] = 0
        prediction = _predict(model, clean, latents, timesteps, condition, tokens)
        if guidance_scale != 1:
            # Everything given is left out together, as in training: condition, tokens and clean views.
            blank = _predict(model, 0 * clean, latents, timesteps, 0 * condition, 0 * tokens)
            prediction = blank + guidance_scale * (prediction - blank)
        latents = scheduler.step(prediction, t, latents, return_dict=False)[0]
        predicted = scheduler.model_outputs[-1]  # without noise, unlike the latents
        if on_denoised is not None and colors is not None and predicted is not None and step < len(steps):
            on_denoised(colors(predicted.flatten(0, 1)))
        callback_on_step_end(step / len(steps))
    decoded = torch.cat([model.decode(few) for few in latents.flatten(0, 1).split(decode_batch_size)])
    return ((decoded + 1) / 2).clamp(0, 1).unflatten(0, (batch, views - count))


def _predict(
    model: Zero123,
    clean: torch.Tensor,
    latents: torch.Tensor,
    timesteps: torch.Tensor,
    condition: torch.Tensor,
    tokens: torch.Tensor,
) -> torch.Tensor:
    """The prediction for the views that are not given, (B, V - G, c, h, w)."""
    joined = torch.cat([clean, latents], 1)
    predicted = model.denoise(joined.flatten(0, 1), timesteps.flatten(), condition, tokens)
    return predicted.unflatten(0, joined.shape[:2])[:, clean.shape[1] :]

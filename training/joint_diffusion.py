"""The training objective of the joint view model: velocity prediction for all views of a scene at once."""

from __future__ import annotations

import math

import torch
from diffusers import DDPMScheduler
from torch import nn

from backend.views.zero123.conditioning import ELEVATION_UNIT, clip_pixel_values
from backend.views.zero123.model import Zero123
from training.config import JointViewsConfig
from training.images import as_input


class JointDenoiser(nn.Module):
    """UNet, CLIP tower, camera projection and elevation head in one forward pass."""

    def __init__(self, model: Zero123):
        super().__init__()
        if model.elevation_head is None:
            raise ValueError("the joint view model has an elevation head")
        self.unet = model.unet
        self.image_encoder = model.image_encoder
        self.projection = model.projection
        self.elevation_head = model.elevation_head

    def forward(
        self,
        pixels: torch.Tensor,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        condition: torch.Tensor,
        poses: torch.Tensor,
        conditioned: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """CLIP pixels (B, 3, S, S) of the inputs, noisy or clean latents (B, V, c, h, w) with their timesteps (B, V),
        the inputs' latents (B, c, h, w), poses (B, V, 4) and whether a scene is conditioned (B,) 0 or 1 -> predicted
        velocities (B, V, c, h, w) and the elevation head's answer (B, 2), both float32."""
        views = noisy.shape[1]
        embedding = self.image_encoder(pixel_values=pixels).image_embeds
        tokens = self.projection(torch.cat([embedding[:, None].expand(-1, views, -1), poses], -1))
        tokens = tokens * conditioned[:, None, None]
        condition = (condition * conditioned[:, None, None, None])[:, None].expand_as(noisy)
        joined = torch.cat([noisy, condition], 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        predicted = self.unet(
            joined, timesteps.flatten(), encoder_hidden_states=tokens.flatten(0, 1)[:, None], return_dict=False
        )[0]
        return predicted.float().unflatten(0, noisy.shape[:2]), self.elevation_head(embedding).float()


class JointObjective:
    """Losses of random batches; all randomness comes from PyTorch's global generator of the device."""

    def __init__(self, model: Zero123, config: JointViewsConfig, device: torch.device):
        self._config = config
        self._alphas = DDPMScheduler.from_config(model.schedule).alphas_cumprod.to(device)
        self._clean_probabilities = torch.tensor(config.extra_clean_views, device=device)
        self._image_size = model.image_encoder.config.image_size
        self._scaling_factor = model.scaling_factor

    def __call__(
        self, denoiser: JointDenoiser, batch: dict[str, torch.Tensor], dtype: torch.dtype
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The loss of a batch of ``JointScenes``, and detached values to report: each scene's ``error`` (B,) and
        ``elevation_error`` (B,) in degrees."""
        count, views = batch["latents"].shape[:2]
        device = batch["latents"].device
        conditioned = (torch.rand(count, device=device) >= self._config.condition_dropout).float()
        extra = torch.multinomial(self._clean_probabilities, count, replacement=True)
        latents, angles = batch["latents"].float(), batch["angles"]
        clean = _sample_clean(batch["given"], extra, views)
        t = shifted_timesteps(torch.rand(count, device=device), self._config.timestep_shift, len(self._alphas))
        alpha = self._alphas[t].view(-1, 1, 1, 1, 1)
        scaled, noise = latents * self._scaling_factor, torch.randn_like(latents)
        # What is given is a picture of its own. For guidance it is left out together with condition and token.
        given = latents.clone()
        given[torch.arange(count, device=device), batch["given"]] = batch["given_latents"].float()
        given = given * self._scaling_factor * conditioned.view(-1, 1, 1, 1, 1)
        noisy = torch.where(clean[..., None, None, None], given, alpha.sqrt() * scaled + (1 - alpha).sqrt() * noise)
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * scaled
        pixels = clip_pixel_values(as_input(batch["picture"]), self._image_size).to(dtype)
        timesteps, condition, poses = t[:, None] * ~clean, latents[:, 0].to(dtype), relative_poses(angles).to(dtype)
        predicted, elevation = denoiser(pixels, noisy.to(dtype), timesteps, condition, poses, conditioned.to(dtype))
        if self._config.learned_guidance_scale != 1:
            with torch.no_grad():
                blank = torch.where(clean[..., None, None, None], 0, noisy).to(dtype)
                nothing = torch.zeros_like(conditioned, dtype=dtype)
                unconditional, _ = denoiser(pixels, blank, timesteps, condition, poses, nothing)
                velocity = self._guided_target(velocity, predicted, unconditional, conditioned)
        error = (predicted - velocity).square().mean((2, 3, 4)) * ~clean
        error = error.sum(1) / (~clean).sum(1)
        truth = angles[:, 0, 0] / ELEVATION_UNIT
        log_variance = elevation[:, 1].clamp(-8, 4)
        likelihood = (elevation[:, 0] - truth).square() * torch.exp(-log_variance) + log_variance
        loss = error.mean() + self._config.elevation_loss_weight * likelihood.mean()
        off = (ELEVATION_UNIT * (elevation[:, 0] - truth)).abs()
        return loss, {"error": error.detach(), "elevation_error": off.detach()}

    def _guided_target(
        self, velocity: torch.Tensor, predicted: torch.Tensor, unconditional: torch.Tensor, conditioned: torch.Tensor
    ) -> torch.Tensor:
        """What conditioned scenes (B,) learn instead of ``velocity`` (B, V, c, h, w), so that their expected prediction
        is that of classifier-free guidance with the configured scale (model guidance, arXiv 2502.12154).

        With the share s of the model's own guidance added to the target, the prediction settles where
        p = E[velocity] + s (p - u), which is u + (E[velocity] - u) / (1 - s): guidance of scale 1 / (1 - s).
        """
        share = 1 - 1 / self._config.learned_guidance_scale
        return velocity + share * conditioned.view(-1, 1, 1, 1, 1) * (predicted - unconditional)


def _sample_clean(given: torch.Tensor, extra: torch.Tensor, views: int) -> torch.Tensor:
    """Which views (B, views) are given clean: the input and ``extra`` (B,) others, first ``given`` (B,)."""
    order = torch.rand(len(given), views, device=given.device)
    order[torch.arange(len(given), device=given.device), given] = -1
    order[:, 0] = -2
    return order.argsort(1).argsort(1) <= extra[:, None]


def shifted_timesteps(u: torch.Tensor, shift: float, count: int = 1000) -> torch.Tensor:
    """Uniform numbers (N,) in 0..1 -> timesteps (N,) of the cosine schedule whose signal-to-noise ratio is ``shift``^2
    times lower.

    All views together show the object at noise levels where one view does not; with the usual timesteps a joint model
    reads it off the noise instead of learning where it is (simple diffusion, arXiv 2301.11093, shifts for resolution).
    """
    t = torch.atan(shift * torch.tan(u.clamp(1e-4, 1 - 1e-4) * (math.pi / 2))) * (2 / math.pi)
    return (t * count).round().clamp(0, count - 1).long()


def relative_poses(angles: torch.Tensor) -> torch.Tensor:
    """Elevations and azimuths (B, V, 2) in degrees, the input's first -> pose numbers (B, V, 4) as
    ``camera.relative_pose`` makes them."""
    change = torch.deg2rad(angles - angles[:, :1])
    polar, azimuth = -change[..., 0], change[..., 1]
    return torch.stack([polar, azimuth.sin(), azimuth.cos(), torch.zeros_like(polar)], -1)

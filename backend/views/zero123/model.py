"""The networks of Zero123: predict the noise in a view, given an image of the object and a relative camera pose.

Zero123 (arXiv 2303.11328): a Stable-Diffusion UNet whose input is [noisy latent, latent of the image] and one
cross-attention token made of the image's CLIP embedding and the relative pose. The folder's configs decide every size,
so the same class runs the bundled weights and the public ones.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ...camera import relative_pose
from .conditioning import ELEVATION_UNIT, clip_pixel_values
from .cuda_graphs import GraphedUNet
from .loading import load_components
from .offloading import weights_on

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers.models.clip import CLIPVisionModelWithProjection

UNET_FEATURE_MAPS = 25
"""Of the first block's size, that a call of the UNet holds at its fullest; counted in Zero123's."""


class SingleTokenAttnProcessor:
    """Cross-attention to one token. The softmax over one key is 1, so queries and keys do not matter (exact, not an
    approximation) and every pixel receives the same value."""

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor, **_
    ) -> torch.Tensor:
        value = attn.to_out[0](attn.to_v(encoder_hidden_states))
        return value.expand(-1, hidden_states.shape[1], -1)


class Zero123(nn.Module):
    """UNet, VAE, CLIP tower and camera projection, with the operations that training and inference share."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        image_encoder: CLIPVisionModelWithProjection,
        projection: nn.Linear,
        schedule: dict,
        elevation_head: nn.Sequential | None = None,
        uses_source_elevation: bool = False,
    ):
        """``projection`` maps (embedding + 4) to the UNet's cross-attention width; ``schedule`` is the configuration of
        a diffusers scheduler (betas, number of steps, ``prediction_type``). ``uses_source_elevation``: see ``pose``."""
        super().__init__()
        self.unet = unet
        self.vae = vae
        self.image_encoder = image_encoder
        self.projection = projection
        self.schedule = schedule
        self.elevation_head = elevation_head
        self.uses_source_elevation = uses_source_elevation
        """Whether the elevation has to be known before the first view."""
        self.low_memory = False
        """Whether the large networks are on the device only inside ``on_device``."""
        self.uses_cuda_graphs = True
        """Whether calls of the UNet may be replayed on a CUDA GPU; operations of a replay cannot be counted."""
        self._graphed_unet: GraphedUNet | None = None
        self.latent_channels: int = vae.config["latent_channels"]
        self.latent_size: int = unet.config["sample_size"]
        self.image_size: int = self.latent_size * 2 ** (len(vae.config["block_out_channels"]) - 1)
        self.scaling_factor: float = vae.config["scaling_factor"]
        processors: dict[str, Any] = {
            name: SingleTokenAttnProcessor() if name.endswith("attn2.processor") else processor
            for name, processor in unet.attn_processors.items()
        }
        unet.set_attn_processor(processors)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        low_memory: bool = False,
    ) -> Zero123:
        """A model from a folder in diffusers' layout, ready for inference; ``low_memory``: see ``place``. Raises
        UserError for missing, broken or mismatched files.

        The VAE stays in float32 where ``dtype`` is bfloat16, which would cost visible precision.
        """
        model = cls(**load_components(Path(folder))).requires_grad_(False).eval().to(dtype)
        if dtype == torch.bfloat16:
            model.vae.float()
        model.place(device, low_memory)
        return model

    def place(self, device: str | torch.device, low_memory: bool = False) -> None:
        """Move to ``device``. With ``low_memory`` the large networks stay where they are, and each is copied to
        ``device`` only while it is needed (``on_device``)."""
        self.low_memory = low_memory
        # A replayed call keeps its memory, and takes for granted where the weights are.
        self.uses_cuda_graphs = not low_memory
        for network in filter(None, (self.projection, self.elevation_head) if low_memory else (self,)):
            network.to(device)
        if self.device.type == "cuda":
            # Not on the CPU: no faster there, and PyTorch's group norm loses four digits in this layout.
            for network in (self.unet, self.vae):
                nn.Module.to(network, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def on_device(self, *networks: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Inside, ``networks`` of this model are on its device, where they are called."""
        return weights_on(self.device, networks) if self.low_memory else contextlib.nullcontext()

    def use_bfloat16(self) -> None:
        """Denoise and decode in bfloat16; what the conditions and the elevation are computed with keeps its type."""
        for network in (self.unet, *self.decoders):
            network.bfloat16()

    def free_cached_memory(self) -> None:
        """Free the GPU memory of replayed calls, and what PyTorch keeps for later."""
        self._graphed_unet = None
        torch.cuda.empty_cache()

    @property
    def device(self) -> torch.device:
        """Where the networks are called."""
        return self.projection.weight.device

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        """The networks of ``encode_condition``."""
        return tuple(filter(None, (self.image_encoder, self.vae.encoder, self.vae.quant_conv)))

    @property
    def decoders(self) -> tuple[nn.Module, ...]:
        """The networks of ``decode``."""
        return tuple(filter(None, (self.vae.decoder, self.vae.post_quant_conv)))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) in -1..1 -> mean of the VAE's posterior (B, c, h, w) float32, not scaled.

        The diffusion model works on these times ``scaling_factor``.
        """
        images = images.to(self.vae.encoder.conv_in.weight.dtype)
        return self.vae.encode(images, return_dict=False)[0].mode().float()

    def encode_condition(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 3, H, W) in -1..1 -> condition latent (B, c, h, w) and CLIP embedding (B, D), both float32.

        The condition latent is deliberately not scaled and the embedding not normalized: Zero123 was trained so.
        """
        size = self.image_encoder.config.image_size
        assert isinstance(size, int)
        pixels = clip_pixel_values(images, size)
        embedding = self.image_encoder(pixel_values=pixels.to(self.image_encoder.dtype)).image_embeds
        return self.encode(images), embedding.float()

    def pose(self, camera_offsets: np.ndarray, source_polars: np.ndarray) -> np.ndarray:
        """Camera offsets (N, 2) of (polar, azimuth) in degrees, from images at polar angles (N,) in degrees -> relative
        poses (N, 4) float32, as ``tokens`` takes them.

        The fourth number is a change of radius, always 0; with Stable Zero123's weights, the source's polar angle.
        """
        poses = relative_pose(*np.transpose(camera_offsets))
        if self.uses_source_elevation:
            poses[:, 3] = np.radians(source_polars)
        return poses

    def tokens(self, embedding: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """CLIP embedding (B, D) and relative poses (B, 4) of ``pose`` -> tokens (B, 1, cross)."""
        weight = self.projection.weight
        joined = torch.cat([embedding.to(weight.dtype), pose.to(weight)], dim=-1)
        return self.projection(joined)[:, None]

    def denoise(
        self, noisy: torch.Tensor, t: torch.Tensor, condition_latent: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        """One UNet call: noisy latents (B, c, h, w), timesteps (B,) or one number, condition latents (B, c, h, w) and
        tokens (B, 1, cross) -> prediction (B, c, h, w) float32, of the kind ``schedule["prediction_type"]`` names."""
        dtype = self._unet_dtype
        joined = torch.cat([noisy, condition_latent], dim=1).to(dtype)
        if joined.is_cuda and self.uses_cuda_graphs and torch.is_inference_mode_enabled():
            if self._graphed_unet is None:
                self._graphed_unet = GraphedUNet(self.unet)
            timesteps = torch.as_tensor(t, dtype=torch.float32, device=joined.device).expand(len(joined))
            return self._graphed_unet(joined, timesteps, tokens.to(dtype)).float()
        return self.unet(joined, t, encoder_hidden_states=tokens.to(dtype), return_dict=False)[0].float()

    @property
    def _unet_dtype(self) -> torch.dtype:
        """As ``unet.dtype``, which asks every module: seven milliseconds, as long as a GPU's call."""
        return self.unet.conv_in.weight.dtype

    @property
    def unet_bytes_per_image(self) -> int:
        """About what each image of a UNet call needs beside the weights; a replayed call does so twice."""
        values = UNET_FEATURE_MAPS * self.unet.config["block_out_channels"][0] * self.latent_size**2
        return values * self._unet_dtype.itemsize * (2 if self.uses_cuda_graphs else 1)

    def unet_inputs(self, batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Zeros in the shapes, types and place of what ``denoise`` gives the UNet for this many images."""
        channels, side = 2 * self.latent_channels, self.latent_size
        sample = torch.zeros(batch, channels, side, side, dtype=self._unet_dtype, device=self.device)
        return (
            sample,
            sample.new_zeros(batch, dtype=torch.float32),
            sample.new_zeros(batch, 1, len(self.projection.weight)),
        )

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents (B, c, h, w) -> images (B, C, H, W) float32, about -1..1 and not clamped.

        C is 3, or 4 where the VAE decodes the mask of the object too.
        """
        latents = latents.float() / self.scaling_factor
        scaled: Any = latents.to(self.vae.decoder.conv_in.weight.dtype)
        return self.vae.decode(scaled, return_dict=False)[0].float()

    def elevation(self, embedding: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """CLIP embedding (B, D) -> elevation (B,) in degrees and the log of its variance (B,) in degrees squared.

        Raises ValueError for a model without an elevation head.
        """
        if self.elevation_head is None:
            raise ValueError("this view model has no elevation head")
        answer = self.elevation_head(embedding.to(next(self.elevation_head.parameters()).dtype)).float()
        return answer[:, 0] * ELEVATION_UNIT, answer[:, 1] + 2 * math.log(ELEVATION_UNIT)

    @torch.inference_mode()
    def predict_elevation(self, image: np.ndarray) -> tuple[float, float] | None:
        """Elevation of the camera of ``image`` (H, W, 3) 0..1 on white: degrees and one standard deviation, as means of
        what is predicted from the image and from its mirror image.

        None where the model has no elevation head.
        """
        if self.elevation_head is None:
            return None
        both = np.stack([image, image[:, ::-1]])
        pixels = torch.from_numpy(both).to(self.device).permute(0, 3, 1, 2).contiguous() * 2 - 1
        with self.on_device(*self.encoders):
            embedding = self.encode_condition(pixels)[1]
        degrees, log_variance = self.elevation(embedding)
        return degrees.mean().item(), (log_variance / 2).exp().mean().item()

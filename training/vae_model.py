"""The VAE of the starter view model, which decodes the object's mask beside its colors, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file

from training.model_config import build_variant

WEIGHTS = "diffusion_pytorch_model.safetensors"


def with_mask(vae: AutoencoderKL) -> AutoencoderKL:
    """The same VAE with a fourth output, which starts at the middle of its range; itself if it has one."""
    if vae.config["out_channels"] == 4:
        return vae
    wider = build_variant(vae, out_channels=4)
    state = vae.state_dict()
    for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
        state[name] = torch.cat([state[name], torch.zeros_like(state[name][:1])])
    wider.load_state_dict(state)
    return wider


@torch.no_grad()
def scale_latents(vae: AutoencoderKL, deviation: torch.Tensor) -> None:
    """Divide all latents by ``deviation``, in place; what is decoded stays the same."""
    channels = vae.config["latent_channels"]
    assert vae.quant_conv is not None and vae.post_quant_conv is not None
    vae.quant_conv.weight[:channels] /= deviation
    vae.quant_conv.bias[:channels] /= deviation
    vae.post_quant_conv.weight *= deviation


def save_vae(vae: AutoencoderKL, folder: Path) -> None:
    """Write ``folder``; weights are stored as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.half().contiguous().cpu() for k, v in vae.state_dict().items()}, folder / WEIGHTS)
    vae.save_config(folder)


def load_vae(folder: Path) -> AutoencoderKL:
    """The VAE that ``save_vae`` wrote."""
    vae = AutoencoderKL.from_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    assert isinstance(vae, AutoencoderKL)
    vae.load_state_dict(load_file(folder / WEIGHTS))
    return vae.requires_grad_(False).eval()

"""Weights small enough to run a whole job in seconds: random views, and a surface network that always says "a ball".

Written by the same code that writes the real ones, in the same layout; only the sizes differ.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from backend.surface import SurfaceNetwork
from backend.surface.field import DISTANCE_UNIT
from backend.weights.store import write_tensors

SURFACE = {"image_size": 32, "features": 8, "channels": [8, 16], "resolution": 16, "half_side": 0.6, "hidden": 32}
RADIUS = 0.4


def write_weights(folder: Path) -> Path:
    """Make a weights folder (``view`` and ``surface``); returns it."""
    torch.manual_seed(0)
    _write_view(folder / "view")
    _write_surface(folder / "surface")
    return folder


def _write_view(folder: Path) -> None:
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=24,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
    )
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=20,
    )
    encoder = CLIPVisionModelWithProjection(vision)
    for name, module, stem in (
        ("unet", unet, "diffusion_pytorch_model"),
        ("vae", vae, "diffusion_pytorch_model"),
        ("image_encoder", encoder, "model"),
        ("clip_camera_projection", nn.Linear(24, 24), "diffusion_pytorch_model"),
    ):
        write_tensors(folder / name / f"{stem}.safetensors", module.state_dict(), quantise=True)
        if name == "image_encoder":
            vision.save_pretrained(folder / name)
        elif name != "clip_camera_projection":
            module.save_config(folder / name)
    DDIMScheduler(prediction_type="v_prediction").save_config(folder / "scheduler")
    (folder / "view.json").write_text(json.dumps({}))


def _write_surface(folder: Path) -> None:
    network = SurfaceNetwork(**SURFACE)
    nn.init.zeros_(network.unet.outlet.weight)  # the views say nothing ...
    nn.init.zeros_(network.unet.outlet.bias)
    decoder = network.decoder.layers
    optimiser = torch.optim.Adam(decoder.parameters(), 0.01)
    for _ in range(300):  # ... and the decoder knows a ball by heart
        places = torch.rand(2048, 3) * 2 - 1
        wanted = places.norm(dim=1) * SURFACE["half_side"] - RADIUS
        answer = decoder(torch.cat([torch.zeros(2048, SURFACE["channels"][0]), places], 1))
        loss = (answer[:, 0] * DISTANCE_UNIT - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    write_tensors(folder / "model.safetensors", network.state_dict(), quantise=True)
    (folder / "config.json").write_text(json.dumps(SURFACE))

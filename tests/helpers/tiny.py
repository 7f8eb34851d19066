"""Weights small enough to run a whole job in seconds: random views, and a surface network that always says "a ball".

Written by the same code that writes the real ones, in the same layout; only the sizes differ.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers.models.clip import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from backend.io.tensors import write_tensors
from backend.surface import SurfaceNetwork
from backend.surface.field import DISTANCE_UNIT

SURFACE = {
    "image_size": 32,
    "features": 8,
    "depths": 2,
    "channels": [8, 16],
    "resolution": 16,
    "half_side": 0.6,
    "hidden": 32,
}
RADIUS = 0.4
BALL = {**SURFACE, "half_side": 0.75}
"""Of the weights: in a larger cube the ball has two thirds of the grid cells on its surface, and so does each mesh."""


def write_weights(folder: Path) -> Path:
    """Make a weights folder (``view`` and ``surface``); returns it."""
    torch.manual_seed(0)
    _write_view(folder / "view")
    _write_surface(folder / "surface")
    return folder


def _write_view(folder: Path) -> None:
    unet, vae = _unet(channels=8, width=24), _vae()
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
        write_tensors(folder / name / f"{stem}.safetensors", module.state_dict(), quantize=True)
        if name == "image_encoder":
            vision.save_pretrained(folder / name)
        elif name != "clip_camera_projection":
            module.save_config(folder / name)
    DDIMScheduler(prediction_type="v_prediction").save_config(folder / "scheduler")
    (folder / "view.json").write_text(json.dumps({}))


def _unet(channels: int, width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=channels,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16,),
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),  # cross-attention is in the middle only
        cross_attention_dim=width,
        attention_head_dim=2,  # the number of heads: with more of them attention takes most of a job
        norm_num_groups=8,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=8,
    )


def _write_surface(folder: Path) -> None:
    network = SurfaceNetwork(**BALL)
    nn.init.zeros_(network.unet.outlet.weight)  # the views say nothing ...
    nn.init.zeros_(network.unet.outlet.bias)
    decoder = network.decoder.layers
    optimizer = torch.optim.Adam(decoder.parameters(), 0.01)
    for _ in range(300):  # ... and the decoder knows a ball by heart
        points = torch.rand(2048, 3) * 2 - 1
        expected = points.norm(dim=1) * BALL["half_side"] - RADIUS
        prediction = decoder(torch.cat([torch.zeros(2048, BALL["channels"][0]), points], 1))
        loss = (prediction[:, 0] * DISTANCE_UNIT - expected).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    write_tensors(folder / "model.safetensors", network.state_dict(), quantize=True)
    (folder / "config.json").write_text(json.dumps(BALL))


def write_text_model(folder: Path) -> Path:
    """Make a Stable Diffusion in diffusers' layout that generates a disc for any prompt; returns its folder."""
    torch.manual_seed(0)
    vae = _vae()
    points = torch.stack(torch.meshgrid(*[torch.arange(64) / 32 - 1] * 2, indexing="ij"))
    inside = points.square().sum(0) < 0.6**2
    disc = torch.where(inside, torch.stack([points[0], points[1], -points[0]]), 1)[None]
    optimizer = torch.optim.Adam(vae.decoder.parameters(), 0.01)
    nn.init.zeros_(vae.post_quant_conv.weight)  # the latents say nothing ...
    nn.init.zeros_(vae.post_quant_conv.bias)
    for _ in range(150):  # ... and the decoder knows a disc by heart
        loss = (vae.decoder(torch.zeros(1, 4, 8, 8)) - disc).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    letters = [chr(each) for each in (*range(33, 127), *range(161, 173), *range(174, 256))]
    words = [*letters, *(f"{each}</w>" for each in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77)
    text = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1,
    )
    components = {
        "vae": vae,
        "text_encoder": CLIPTextModel(text),
        "tokenizer": tokenizer,
        "unet": _unet(channels=4, width=32),
        "scheduler": DDIMScheduler(steps_offset=1, clip_sample=False),
    }
    # As StableDiffusionPipeline.save_pretrained does it. To import that takes seconds, and the type checker would read
    # all models of transformers.
    libraries = {name: "transformers" if name in ("text_encoder", "tokenizer") else "diffusers" for name in components}
    index: dict = {name: [libraries[name], type(part).__name__] for name, part in components.items()}
    index |= {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}
    for name, component in components.items():
        component.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline", **index}))
    return folder

"""The joint view model as training makes it: from a run's configuration, or from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch

from backend.paths import STARTER_WEIGHTS
from backend.views.zero123.joint_attention import use_joint_attention
from backend.views.zero123.model import Zero123
from training.cameras import view_count
from training.checkpoint import load_checkpoint
from training.config import JointViewsConfig
from training.joint_diffusion import JointDenoiser
from training.model_config import build_variant
from training.view_model import build


def initial_model(config: JointViewsConfig) -> Zero123:
    """The view model that a run starts from, on the CPU."""
    weights = config.initial_weights
    if weights == "untrained":
        model = build()
    else:
        model = Zero123.load(STARTER_WEIGHTS / "view" if weights == "starter" else weights)
    model = deepen(model, config.transformer_layers)
    use_joint_attention(model.unet, view_count(config.view_plan))
    return model


def load_joint_model(checkpoint: str | Path, device: str | torch.device = "cpu") -> Zero123:
    """The averaged weights in a checkpoint of ``training.joint_views``, ready for inference."""
    loaded = load_checkpoint(Path(checkpoint))
    model = initial_model(loaded.config)
    JointDenoiser(model).load_state_dict(loaded.averaged, strict=False)
    return model.to(device)


def deepen(model: Zero123, layers: int) -> Zero123:
    """The same model with ``layers`` blocks in every transformer of its UNet; new ones change nothing until trained."""
    unet = build_variant(model.unet, transformer_layers_per_block=layers)
    missing = unet.load_state_dict(model.unet.state_dict(), strict=False).missing_keys
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            # What a block adds to its input comes from these three layers.
            if name in missing and any(last in name for last in (".attn1.to_out.", ".attn2.to_out.", ".ff.net.2.")):
                parameter.zero_()
    return Zero123(
        unet, model.vae, model.image_encoder, model.projection, model.schedule, model.elevation_head,
        model.uses_source_elevation,
    ).requires_grad_(False).eval()  # fmt: skip

"""Keys of diffusers' and transformers' modules -> keys of the original checkpoint (latent diffusion, OpenAI's CLIP).

One function per component, all pure: a key of the module's ``state_dict`` -> (the key in the checkpoint, the transform
of its tensor, or None).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Transform = Callable[[torch.Tensor], torch.Tensor]
UNET, EMA, VAE, CLIP, PROJECTION = (
    "model.diffusion_model.",
    "model_ema.",
    "first_stage_model.",
    "cond_stage_model.model.visual.",
    "cc_projection.",
)
"""Prefixes of each component's keys; EMA has the UNet once more, as the moving average over the training."""

_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def ema_key(name: str) -> str:
    """The key of the moving average of the UNet tensor ``name`` (a key of the checkpoint), which has no dots."""
    return EMA + name.removeprefix("model.").replace(".", "")


def unet_key(name: str) -> tuple[str, Transform | None]:
    """Of ``UNet2DConditionModel``. Raises KeyError."""
    match name.split("."):
        case ["time_embedding", layer, kind]:
            key = f"time_embed.{0 if layer == 'linear_1' else 2}.{kind}"
        case ["conv_in", kind]:
            key = f"input_blocks.0.0.{kind}"
        case ["conv_norm_out", kind]:
            key = f"out.0.{kind}"
        case ["conv_out", kind]:
            key = f"out.2.{kind}"
        case ["mid_block", "resnets", layer, layer_name, kind]:
            key = f"middle_block.{2 * int(layer)}.{_UNET_RESNET[layer_name]}.{kind}"
        case ["mid_block", "attentions", "0", *inner]:
            key = f"middle_block.1.{'.'.join(inner)}"
        case ["down_blocks", level, "downsamplers", "0", "conv", kind]:
            key = f"input_blocks.{3 * int(level) + 3}.0.op.{kind}"
        case ["up_blocks", level, "upsamplers", "0", "conv", kind]:
            key = f"output_blocks.{3 * int(level) + 2}.{1 if level == '0' else 2}.conv.{kind}"  # level 0: no attention
        case [side, level, "resnets", layer, layer_name, kind]:
            key = f"{_block(side, level, layer)}.0.{_UNET_RESNET[layer_name]}.{kind}"
        case [side, level, "attentions", layer, *inner]:
            key = f"{_block(side, level, layer)}.1.{'.'.join(inner)}"
        case _:
            raise KeyError(name)
    return UNET + key, None


def _block(side: str, level: str, layer: str) -> str:
    """The prefix of a UNet layer: the original numbers all of its blocks in a row."""
    if side == "down_blocks":
        return f"input_blocks.{3 * int(level) + int(layer) + 1}"
    return f"output_blocks.{3 * int(level) + int(layer)}"


def vae_key(name: str) -> tuple[str, Transform | None]:
    """Of ``AutoencoderKL``."""
    transform = None
    match name.split("."):
        case [side, "conv_norm_out", kind]:
            key = f"{side}.norm_out.{kind}"
        case [side, "mid_block", "resnets", layer, layer_name, kind]:
            key = f"{side}.mid.block_{int(layer) + 1}.{_vae_layer(layer_name)}.{kind}"
        case [side, "mid_block", "attentions", "0", *path, kind]:
            key = f"{side}.mid.attn_1.{_VAE_ATTENTION['.'.join(path)]}.{kind}"
            if kind == "weight" and path != ["group_norm"]:
                transform = _conv_to_linear
        case ["encoder", "down_blocks", level, "resnets", layer, layer_name, kind]:
            key = f"encoder.down.{level}.block.{layer}.{_vae_layer(layer_name)}.{kind}"
        case ["encoder", "down_blocks", level, "downsamplers", "0", "conv", kind]:
            key = f"encoder.down.{level}.downsample.conv.{kind}"
        case ["decoder", "up_blocks", level, "resnets", layer, layer_name, kind]:
            key = f"decoder.up.{3 - int(level)}.block.{layer}.{_vae_layer(layer_name)}.{kind}"
        case ["decoder", "up_blocks", level, "upsamplers", "0", "conv", kind]:
            key = f"decoder.up.{3 - int(level)}.upsample.conv.{kind}"
        case _:
            key = name  # conv_in, conv_out, quant_conv, post_quant_conv
    return VAE + key, transform


def _vae_layer(name: str) -> str:
    return "nin_shortcut" if name == "conv_shortcut" else name


def _conv_to_linear(weight: torch.Tensor) -> torch.Tensor:
    """A 1 x 1 convolution's weight (out, in, 1, 1) -> (out, in)."""
    return weight[:, :, 0, 0]


def clip_key(name: str) -> tuple[str, Transform | None]:
    """Of ``CLIPVisionModelWithProjection``. Raises KeyError."""
    match name.removeprefix("vision_model.").split("."):
        case ["visual_projection", "weight"]:
            return CLIP + "proj", torch.t
        case ["embeddings", "class_embedding"]:
            key = "class_embedding"
        case ["embeddings", "patch_embedding", "weight"]:
            key = "conv1.weight"
        case ["embeddings", "position_embedding", "weight"]:
            key = "positional_embedding"
        case ["pre_layrnorm", kind]:
            key = f"ln_pre.{kind}"
        case ["post_layernorm", kind]:
            key = f"ln_post.{kind}"
        case ["encoder", "layers", layer, "self_attn", "q_proj" | "k_proj" | "v_proj" as projection, kind]:
            third = ("q_proj", "k_proj", "v_proj").index(projection)
            return f"{CLIP}transformer.resblocks.{layer}.attn.in_proj_{kind}", lambda rows: rows.chunk(3)[third]
        case ["encoder", "layers", layer, *path, kind]:
            key = f"transformer.resblocks.{layer}.{_CLIP_LAYER['.'.join(path)]}.{kind}"
        case _:
            raise KeyError(name)
    return CLIP + key, None


def projection_key(name: str) -> tuple[str, Transform | None]:
    """Of the camera projection, a ``ModuleDict`` with ``proj``."""
    return PROJECTION + name.removeprefix("proj."), None

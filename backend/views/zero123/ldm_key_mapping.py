"""What the original code calls each tensor of a view model, for diffusers' and transformers' names of today.

One function per part, all pure: a module's own name -> (the name in the original checkpoint, how its tensor changes).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Change = Callable[[torch.Tensor], torch.Tensor]
UNET, AVERAGED, VAE, CLIP, PROJECTION = (
    "model.diffusion_model.",
    "model_ema.",
    "first_stage_model.",
    "cond_stage_model.model.visual.",
    "cc_projection.",
)
"""How the names of each part begin; AVERAGED holds the UNet once more, as a running mean over the training."""

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


def averaged(name: str) -> str:
    """The averaged twin of a UNet tensor's original name: its dots are gone."""
    return AVERAGED + name.removeprefix("model.").replace(".", "")


def unet(name: str) -> tuple[str, Change | None]:
    match name.split("."):
        case ["time_embedding", layer, kind]:
            old = f"time_embed.{0 if layer == 'linear_1' else 2}.{kind}"
        case ["conv_in", kind]:
            old = f"input_blocks.0.0.{kind}"
        case ["conv_norm_out", kind]:
            old = f"out.0.{kind}"
        case ["conv_out", kind]:
            old = f"out.2.{kind}"
        case ["mid_block", "resnets", layer, part, kind]:
            old = f"middle_block.{2 * int(layer)}.{_UNET_RESNET[part]}.{kind}"
        case ["mid_block", "attentions", "0", *inner]:
            old = f"middle_block.1.{'.'.join(inner)}"
        case ["down_blocks", level, "downsamplers", "0", "conv", kind]:
            old = f"input_blocks.{3 * int(level) + 3}.0.op.{kind}"
        case ["up_blocks", level, "upsamplers", "0", "conv", kind]:
            old = f"output_blocks.{3 * int(level) + 2}.{1 if level == '0' else 2}.conv.{kind}"  # level 0: no attention
        case [side, level, "resnets", layer, part, kind]:
            old = f"{_block(side, level, layer)}.0.{_UNET_RESNET[part]}.{kind}"
        case [side, level, "attentions", layer, *inner]:
            old = f"{_block(side, level, layer)}.1.{'.'.join(inner)}"
        case _:
            raise KeyError(name)
    return UNET + old, None


def _block(side: str, level: str, layer: str) -> str:
    if side == "down_blocks":
        return f"input_blocks.{3 * int(level) + int(layer) + 1}"
    return f"output_blocks.{3 * int(level) + int(layer)}"


def vae(name: str) -> tuple[str, Change | None]:
    change = None
    match name.split("."):
        case [side, "conv_norm_out", kind]:
            old = f"{side}.norm_out.{kind}"
        case [side, "mid_block", "resnets", layer, part, kind]:
            old = f"{side}.mid.block_{int(layer) + 1}.{_vae_part(part)}.{kind}"
        case [side, "mid_block", "attentions", "0", *part, kind]:
            old = f"{side}.mid.attn_1.{_VAE_ATTENTION['.'.join(part)]}.{kind}"
            if kind == "weight" and part != ["group_norm"]:
                change = _as_linear
        case ["encoder", "down_blocks", level, "resnets", layer, part, kind]:
            old = f"encoder.down.{level}.block.{layer}.{_vae_part(part)}.{kind}"
        case ["encoder", "down_blocks", level, "downsamplers", "0", "conv", kind]:
            old = f"encoder.down.{level}.downsample.conv.{kind}"
        case ["decoder", "up_blocks", level, "resnets", layer, part, kind]:
            old = f"decoder.up.{3 - int(level)}.block.{layer}.{_vae_part(part)}.{kind}"
        case ["decoder", "up_blocks", level, "upsamplers", "0", "conv", kind]:
            old = f"decoder.up.{3 - int(level)}.upsample.conv.{kind}"
        case _:
            old = name  # conv_in, conv_out, quant_conv, post_quant_conv
    return VAE + old, change


def _vae_part(part: str) -> str:
    return "nin_shortcut" if part == "conv_shortcut" else part


def _as_linear(weight: torch.Tensor) -> torch.Tensor:
    """A 1 x 1 convolution's weight (out, in, 1, 1) -> (out, in)."""
    return weight[:, :, 0, 0]


def clip(name: str) -> tuple[str, Change | None]:
    match name.removeprefix("vision_model.").split("."):
        case ["visual_projection", "weight"]:
            return CLIP + "proj", torch.t
        case ["embeddings", "class_embedding"]:
            old = "class_embedding"
        case ["embeddings", "patch_embedding", "weight"]:
            old = "conv1.weight"
        case ["embeddings", "position_embedding", "weight"]:
            old = "positional_embedding"
        case ["pre_layrnorm", kind]:
            old = f"ln_pre.{kind}"
        case ["post_layernorm", kind]:
            old = f"ln_post.{kind}"
        case ["encoder", "layers", layer, "self_attn", "q_proj" | "k_proj" | "v_proj" as part, kind]:
            third = ("q_proj", "k_proj", "v_proj").index(part)
            return f"{CLIP}transformer.resblocks.{layer}.attn.in_proj_{kind}", lambda rows: rows.chunk(3)[third]
        case ["encoder", "layers", layer, *part, kind]:
            old = f"transformer.resblocks.{layer}.{_CLIP_LAYER['.'.join(part)]}.{kind}"
        case _:
            raise KeyError(name)
    return CLIP + old, None


def projection(name: str) -> tuple[str, Change | None]:
    return PROJECTION + name.removeprefix("proj."), None

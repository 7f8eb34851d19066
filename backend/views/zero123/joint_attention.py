"""Joint views: self-attention over the tokens of all views of a scene, so that one UNet call denoises them together.

Multi-view diffusion as in MVDream (arXiv 2308.16512) and Zero123++ (arXiv 2310.15110), without new parameters: a UNet
trained for single views is the starting point. View 0 is the input picture, clean, at timestep 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel


class JointSelfAttnProcessor:
    """An attention processor for diffusers: hidden states (scenes * views, tokens, channels) attend across the views of
    their scene."""

    def __init__(self, views: int):
        self.views = views

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None, **_
    ) -> torch.Tensor:
        batch, tokens, channels = hidden_states.shape
        joined = hidden_states.reshape(batch // self.views, self.views * tokens, channels)
        query, key, value = (
            linear(joined).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for linear in (attn.to_q, attn.to_k, attn.to_v)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return attn.to_out[0](attended).reshape(batch, tokens, channels)


def use_joint_attention(unet: UNet2DConditionModel, views: int) -> None:
    """Let every self-attention of ``unet`` run over all ``views`` pictures of a scene, in place."""
    processors: dict[str, Any] = {
        name: JointSelfAttnProcessor(views) if name.endswith("attn1.processor") else processor
        for name, processor in unet.attn_processors.items()
    }
    unet.set_attn_processor(processors)

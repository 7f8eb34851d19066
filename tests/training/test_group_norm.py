"""The fused group normalization of the training."""

from __future__ import annotations

import copy

import torch
from diffusers import UNet2DConditionModel

from backend.surface.network import FeatureUNet, VolumeUNet
from training import group_norm


def test_the_fused_normalization_is_pytorchs(monkeypatch):
    monkeypatch.setattr(group_norm, "ROWS", 128)  # the interpreter takes as long for more at once
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        8,
        8,
        4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        block_out_channels=[16, 32],
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=8,
    )
    more = torch.tensor([3, 500]), torch.randn(2, 1, 16)
    for plain, given in (
        (unet, (torch.randn(2, 8, 8, 8), *more)),
        (FeatureUNet(8), (torch.randn(2, 4, 16, 16),)),
        (VolumeUNet(7, [8, 16]), (torch.randn(1, 7, 8, 8, 8),)),
    ):
        for parameter in plain.parameters():  # fresh norms are all ones and zeros
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, 1.0, 0.3)
        fused = copy.deepcopy(plain)
        group_norm.fuse(fused)
        actual, expected = (model(*given) for model in (fused, plain))
        actual, expected = (each if isinstance(each, torch.Tensor) else each.sample for each in (actual, expected))
        assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()
        direction = torch.randn_like(expected)
        for output in (actual, expected):
            output.backward(direction)
        pairs = zip(fused.parameters(), plain.parameters(), strict=True)
        pairs = [(ours.grad.flatten(), theirs.grad.flatten()) for ours, theirs in pairs if theirs.grad is not None]
        ours, theirs = (torch.cat(each) for each in zip(*pairs, strict=True))
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()

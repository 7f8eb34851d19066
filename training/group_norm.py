"""Group normalization with SiLU for channels-last tensors, in Triton: eight passes over memory, there and back.

PyTorch's own kernel wants channels first, so that between two channels-last convolutions every normalization costs two
copies more, and the activation another pass each way.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import triton
import triton.language as tl
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

ROWS = 32
"""Pixels that a program holds at once."""
SHARE = 512
"""Pixels of one picture (or cells of one volume) that a program sums up, unless that makes too many programs."""
MOST_SHARES = 64


@triton.jit
def _activated(z, ACTIVATE: tl.constexpr):
    return z * tl.sigmoid(z) if ACTIVATE else z


@triton.jit
def _slope(z, ACTIVATE: tl.constexpr):
    s = tl.sigmoid(z)
    return s * (1 + z * (1 - s)) if ACTIVATE else z * 0 + 1


@triton.jit
def _sums(
    x, dy, scale, shift, out, pixels, C, CP: tl.constexpr, R: tl.constexpr, BACK: tl.constexpr, ACT: tl.constexpr
):
    """Sums over a share of a picture's pixels, per channel: of x and x^2, or of dz and dz x."""
    picture, block, blocks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    channel = tl.arange(0, CP)
    inside = channel < C
    first = tl.zeros([CP], tl.float32)
    second = tl.zeros([CP], tl.float32)
    if BACK:
        a = tl.load(scale + picture * C + channel, mask=inside, other=0)
        b = tl.load(shift + picture * C + channel, mask=inside, other=0)
    for start in range(block * R, pixels, blocks * R):
        row = start + tl.arange(0, R)
        offset = (picture * pixels + row)[:, None].to(tl.int64) * C + channel[None, :]
        here = (row < pixels)[:, None] & inside[None, :]
        value = tl.load(x + offset, mask=here, other=0).to(tl.float32)
        if BACK:
            dz = tl.load(dy + offset, mask=here, other=0).to(tl.float32) * _slope(value * a[None, :] + b[None, :], ACT)
            first += tl.sum(dz, 0)
            second += tl.sum(dz * value, 0)
        else:
            first += tl.sum(value, 0)
            second += tl.sum(value * value, 0)
    into = out + (picture * blocks + block) * 2 * C + channel
    tl.store(into, first, mask=inside)
    tl.store(into + C, second, mask=inside)


@triton.jit
def _apply(
    x, dy, scale, shift, p, q, out, pixels, C, CP: tl.constexpr, R: tl.constexpr, BACK: tl.constexpr, ACT: tl.constexpr
):
    """The activated normalization, or the gradient of its input."""
    picture, block = tl.program_id(0), tl.program_id(1)
    channel = tl.arange(0, CP)
    inside = channel < C
    row = block * R + tl.arange(0, R)
    offset = (picture * pixels + row)[:, None].to(tl.int64) * C + channel[None, :]
    here = (row < pixels)[:, None] & inside[None, :]
    value = tl.load(x + offset, mask=here, other=0).to(tl.float32)
    a = tl.load(scale + picture * C + channel, mask=inside, other=0)[None, :]
    z = value * a + tl.load(shift + picture * C + channel, mask=inside, other=0)[None, :]
    if BACK:
        dz = tl.load(dy + offset, mask=here, other=0).to(tl.float32) * _slope(z, ACT)
        result = a * dz + value * tl.load(p + picture * C + channel, mask=inside, other=0)[None, :]
        result += tl.load(q + picture * C + channel, mask=inside, other=0)[None, :]
    else:
        result = _activated(z, ACT)
    tl.store(out + offset, result, mask=here)


def _launch_sums(x, dy, scale, shift, activate: bool) -> torch.Tensor:
    """(2, B, C) float32."""
    batch, channels, pixels = *x.shape[:2], x[0, 0].numel()
    shares = max(1, min(MOST_SHARES, pixels // SHARE))
    out = torch.empty(batch, shares, 2, channels, device=x.device)
    wide = triton.next_power_of_2(channels)
    _sums[(batch, shares)](x, dy, scale, shift, out, pixels, channels, wide, ROWS, BACK=dy is not x, ACT=activate)
    return out.sum(1).transpose(0, 1)


def _launch_apply(x, dy, scale, shift, p, q, activate: bool) -> torch.Tensor:
    batch, channels, pixels = *x.shape[:2], x[0, 0].numel()
    out = torch.empty_like(x)
    grid = (batch, triton.cdiv(pixels, ROWS))
    wide = triton.next_power_of_2(channels)
    _apply[grid](x, dy, scale, shift, p, q, out, pixels, channels, wide, ROWS, BACK=dy is not x, ACT=activate)
    return out


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, groups: int, epsilon: float, activate: bool):
        x = _channels_last(x)
        batch, channels = x.shape[:2]
        first, second = _launch_sums(x, x, x, x, activate)
        count = x[0, 0].numel() * (channels // groups)
        mean = first.view(batch, groups, -1).sum(-1) / count
        variance = (second.view(batch, groups, -1).sum(-1) / count - mean.square()).clamp_min(0)
        spread = torch.rsqrt(variance + epsilon)
        mean, spread = (each.repeat_interleave(channels // groups, 1) for each in (mean, spread))
        scale = spread * weight.float()
        shift = bias.float() - mean * scale
        ctx.save_for_backward(x, weight, mean, spread, scale, shift)
        ctx.groups, ctx.activate = groups, activate
        return _launch_apply(x, x, scale, shift, scale, shift, activate)

    @staticmethod
    def backward(ctx, dy):
        x, weight, mean, spread, scale, shift = ctx.saved_tensors
        batch, channels = x.shape[:2]
        dy = _channels_last(dy)
        dz, dzx = _launch_sums(x, dy, scale, shift, ctx.activate)
        dz_hat = spread * (dzx - mean * dz)  # sum of dz times the normalized x
        count = x[0, 0].numel() * (channels // ctx.groups)
        weighted = torch.stack([dz, dz_hat]) * weight.float()
        inner, outer = (weighted.view(2, batch, ctx.groups, -1).sum(-1) / count).repeat_interleave(
            channels // ctx.groups, 2
        )
        p = -spread.square() * outer
        q = -spread * inner - p * mean
        dx = _launch_apply(x, dy, scale, shift, p, q, ctx.activate)
        return dx, dz_hat.sum(0).to(weight.dtype), dz.sum(0).to(weight.dtype), None, None, None


class GroupNormSiLU(nn.GroupNorm):
    """``nn.GroupNorm`` of pictures or volumes on the GPU, with SiLU after it if ``activate``; channels last."""

    activate = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() < 4:  # the attention of the VAE
            return super().forward(x)
        return _GroupNorm.apply(x, self.weight, self.bias, self.num_groups, self.eps, self.activate)


def fuse(module: nn.Module) -> None:
    """Let every block inside ``module`` (diffusers' and our own) normalize and activate in one step, in place."""
    for child in module.modules():
        if isinstance(child, nn.GroupNorm):
            child.__class__ = GroupNormSiLU
    for child in module.modules():
        if isinstance(child, ResnetBlock2D):
            child.norm1.activate = child.norm2.activate = True
            if child.time_emb_proj is not None:  # the block's activation serves its time embedding too
                child.time_emb_proj = nn.Sequential(child.nonlinearity, child.time_emb_proj)
            child.nonlinearity = nn.Identity()
        elif hasattr(child, "conv_norm_out"):
            child.conv_norm_out.activate, child.conv_act = True, nn.Identity()
        elif isinstance(child, nn.Sequential):
            for index, (norm, activation) in enumerate(pairwise(child), 1):
                if isinstance(norm, nn.GroupNorm) and isinstance(activation, nn.SiLU):
                    norm.activate, child[index] = True, nn.Identity()

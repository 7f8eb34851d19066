"""``SurfaceNetwork.aggregate_views`` in Triton: one pass over all views, forward and backward.

Step by step PyTorch writes the sampled features of every view (B x R^3 x C floats) and keeps them for the backward
pass, whose scattered additions it makes channel by channel. Here a voxel's features stay in registers and are sampled
again in the backward pass, where the channels of a pixel lie side by side.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch.nn import functional as F

from backend.camera import FOCAL, RADIUS
from backend.surface.network import SHARPNESS, SurfaceNetwork

VOXELS = 64
"""Voxels that a program holds at once."""
VIEWS_WITH_GRAD = 9
"""Views with gradients, the first of a sample: all views share the 2D network, so a few of them say enough about it,
and the backward pass dominates the cost per view."""


@triton.jit
def _project(voxels, camera, voxel, inside, SIDE: tl.constexpr, FOCAL: tl.constexpr):
    """Where voxels are in a view: column and row in pixels, counted from the center of the first pixel; their depth."""
    x = tl.load(voxels + voxel * 3, mask=inside, other=0) - tl.load(camera + 3)
    y = tl.load(voxels + voxel * 3 + 1, mask=inside, other=0) - tl.load(camera + 7)
    z = tl.load(voxels + voxel * 3 + 2, mask=inside, other=0) - tl.load(camera + 11)
    right = x * tl.load(camera) + y * tl.load(camera + 4) + z * tl.load(camera + 8)
    up = x * tl.load(camera + 1) + y * tl.load(camera + 5) + z * tl.load(camera + 9)
    back = x * tl.load(camera + 2) + y * tl.load(camera + 6) + z * tl.load(camera + 10)
    scale = FOCAL * SIDE / -tl.minimum(back, -1e-3)
    return SIDE / 2 - 0.5 + right * scale, SIDE / 2 - 0.5 - up * scale, -back


@triton.jit
def _tap(column, row, tap: tl.constexpr, SIDE: tl.constexpr):
    """One of the four pixels around a position: its index, its weight, and whether it is in the frame."""
    left, top = tl.floor(column), tl.floor(row)
    right, down = column - left, row - top
    x, y = left.to(tl.int32) + tap % 2, top.to(tl.int32) + tap // 2
    weight = (right if tap % 2 else 1 - right) * (down if tap // 2 else 1 - down)
    return y * SIDE + x, weight, (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)


@triton.jit
def _sample_view(
    maps, cameras, voxels, view, voxel, inside, channel, sharpness,
    SIDE: tl.constexpr, FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Features (voxels, W) of one of all samples' views, bilinear, zero outside the frame, and their derivative by what
    was sampled; the voxels' columns and rows.

    Where ``sharpness`` (W,) is positive a feature predicts a depth, and becomes the voxel's vote.
    """
    column, row, depth = _project(voxels, cameras + view * 16, voxel, inside, SIDE, FOCAL)
    sampled = tl.zeros([column.shape[0], W], tl.float32)
    for tap in tl.static_range(4):
        pixel, weight, framed = _tap(column, row, tap, SIDE)
        position = view * SIDE * SIDE * W + pixel[:, None] * W + channel[None, :]
        taps = tl.load(maps + position, mask=(framed & inside)[:, None], other=0).to(tl.float32)
        sampled += taps * weight[:, None]
    vote = 2 * tl.sigmoid(2 * sharpness[None, :] * (sampled - ((depth - RADIUS) / HALF)[:, None])) - 1  # tanh
    framed = (tl.abs(column + 0.5 - SIDE / 2) <= SIDE / 2) & (tl.abs(row + 0.5 - SIDE / 2) <= SIDE / 2)
    vote = tl.where(framed[:, None], vote, 0.0)
    gradient = tl.where(framed[:, None], sharpness[None, :] * (1 - vote * vote), 0.0)
    votes_here = sharpness[None, :] > 0
    return tl.where(votes_here, vote, sampled), tl.where(votes_here, gradient, 1.0), column, row


@triton.jit
def _sharpness(channel, C: tl.constexpr, D: tl.constexpr, SOFT: tl.constexpr, SHARP: tl.constexpr):
    """Of every channel: of the D before the last one, which is the background."""
    votes_here = (channel >= C - 1 - D) & (channel < C - 1)
    return tl.where(votes_here, tl.where(channel < C - 1 - D // 2, SOFT, SHARP), 0.0)


@triton.jit
def _aggregate(
    maps, cameras, voxels, out, views, count, C: tl.constexpr, D: tl.constexpr, W: tl.constexpr,
    OUT: tl.constexpr, SIDE: tl.constexpr, FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr,
    SOFT: tl.constexpr, SHARP: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Mean, variance, the first view's features, and the largest votes and background of every voxel."""
    sample = tl.program_id(1)
    voxel = tl.program_id(0) * N + tl.arange(0, N)
    inside = voxel < count
    channel = tl.arange(0, W)
    total = tl.zeros([N, W], tl.float32)
    square = tl.zeros([N, W], tl.float32)
    largest = tl.full([N, W], -1.0, tl.float32)
    sharpness = _sharpness(channel, C, D, SOFT, SHARP)
    into = out + (sample * count + voxel)[:, None].to(tl.int64) * OUT + channel[None, :]
    written = inside[:, None] & (channel < C)[None, :]
    for view in range(views):
        image = (sample * views + view).to(tl.int64)
        sampled, _, _, _ = _sample_view(
            maps, cameras, voxels, image, voxel, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        total += sampled
        square += sampled * sampled
        largest = tl.maximum(largest, sampled)
        if view == 0:
            tl.store(into + 2 * C, sampled, mask=written)
    mean = total / views
    tl.store(into, mean, mask=written)
    tl.store(into + C, square / views - mean * mean, mask=written)
    tl.store(into + 2 * C + 1 + D, largest, mask=written & (channel >= C - 1 - D)[None, :])


@triton.jit
def _aggregate_backward(
    maps, cameras, voxels, gradients, out, views, views_with_grad, count,
    C: tl.constexpr, D: tl.constexpr, W: tl.constexpr, OUT: tl.constexpr, SIDE: tl.constexpr,
    FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr, SOFT: tl.constexpr, SHARP: tl.constexpr,
    N: tl.constexpr,
):  # fmt: skip
    """Gradients of the first views' feature maps, added up in float32; none for the last channel, the background."""
    sample = tl.program_id(1)
    voxel = tl.program_id(0) * N + tl.arange(0, N)
    inside = voxel < count
    channel = tl.arange(0, W)
    incoming = gradients + (sample * count + voxel)[:, None].to(tl.int64) * OUT + channel[None, :]
    read = inside[:, None] & (channel < C - 1)[None, :]
    votes_here = read & (channel >= C - 1 - D)[None, :]
    of_largest = tl.load(incoming + 2 * C + 1 + D, mask=votes_here, other=0).to(tl.float32)
    sharpness = _sharpness(channel, C, D, SOFT, SHARP)
    of_variance = 2 * tl.load(incoming + C, mask=read, other=0).to(tl.float32) / views
    total = tl.zeros([N, W], tl.float32)
    largest = tl.full([N, W], -1.0, tl.float32)
    for view in range(views):
        image = (sample * views + view).to(tl.int64)
        sampled, _, _, _ = _sample_view(
            maps, cameras, voxels, image, voxel, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        total += sampled
        largest = tl.maximum(largest, sampled)
    constant = tl.load(incoming, mask=read, other=0).to(tl.float32) / views - of_variance * total / views
    for view in range(views_with_grad):
        image = (sample * views + view).to(tl.int64)
        sampled, derivative, column, row = _sample_view(
            maps, cameras, voxels, image, voxel, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        gradient = constant + of_variance * sampled
        if view == 0:
            gradient += tl.load(incoming + 2 * C, mask=read, other=0).to(tl.float32)
        gradient += tl.where(sampled == largest, of_largest, 0.0)
        gradient *= derivative
        for tap in tl.static_range(4):
            pixel, weight, framed = _tap(column, row, tap, SIDE)
            into = out + image * SIDE * SIDE * W + pixel[:, None] * W + channel[None, :]
            tl.atomic_add(into, gradient * weight[:, None], mask=read & framed[:, None], sem="relaxed")


class _AggregateViews(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, cameras, voxels, half_side: float, channels: int, depths: int):
        batch, views, side, _, padded = maps.shape
        out = maps.new_empty(batch, len(voxels), 3 * channels + depths + 4)
        out[..., 3 * channels + depths + 1 :] = voxels / half_side
        shape = {"C": channels, "D": depths, "W": padded, "OUT": out.shape[-1], "SIDE": side, "N": VOXELS}
        shape |= {"FOCAL": FOCAL, "RADIUS": RADIUS, "HALF": half_side, "SOFT": SHARPNESS[0], "SHARP": SHARPNESS[1]}
        grid = (triton.cdiv(len(voxels), VOXELS), batch)
        _aggregate[grid](maps, cameras, voxels, out, views, len(voxels), **shape)
        ctx.save_for_backward(maps, cameras, voxels)
        ctx.shape, ctx.grid = shape, grid
        return out

    @staticmethod
    def backward(ctx, gradients):
        maps, cameras, voxels = ctx.saved_tensors
        views = maps.shape[1]
        out = torch.zeros_like(maps, dtype=torch.float32)
        views_with_grad = min(views, VIEWS_WITH_GRAD)
        _aggregate_backward[ctx.grid](
            maps, cameras, voxels, gradients.contiguous(), out, views, views_with_grad, len(voxels), **ctx.shape
        )
        return out.to(maps.dtype), None, None, None, None, None


class FusedSurfaceNetwork(SurfaceNetwork):
    """A ``SurfaceNetwork`` for training on the GPU: the same weights and, but for rounding, the same outputs.

    Only the first ``VIEWS_WITH_GRAD`` views pass gradients to the features that all views share.
    """

    def extract_features(self, images: torch.Tensor) -> torch.Tensor:
        """As ``SurfaceNetwork.extract_features``, but (B, V, S, S, features and more), padded with zeros to a power of
        two."""
        maps = self._extract_features(images[:, :VIEWS_WITH_GRAD])
        if images.shape[1] > VIEWS_WITH_GRAD:
            with torch.no_grad():
                rest = self._extract_features(images[:, VIEWS_WITH_GRAD:])
            maps = torch.cat([maps, rest], 1)
        return maps

    def _extract_features(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(0, 1)
        maps = self.features(flat * 2 - 1).permute(0, 2, 3, 1)
        spare = triton.next_power_of_2(maps.shape[-1] + 1) - maps.shape[-1] - 1
        background = F.pad(1 - flat[:, 3, :, :, None].to(maps.dtype), (0, spare))
        return torch.cat([maps, background], -1).unflatten(0, images.shape[:2])

    def aggregate_views(self, maps: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """As ``SurfaceNetwork.aggregate_views``, channels last, in the precision of the features."""
        channels = self.features.join0[-1].out_channels + 1
        voxels = self.voxel_centers(maps.device).contiguous()
        aggregated = _AggregateViews.apply(
            maps.contiguous(), cameras.float().contiguous(), voxels, self.half_side, channels, self.depths
        )
        return aggregated.unflatten(1, (self.resolution,) * 3).permute(0, 4, 1, 2, 3)

    def forward(self, images: torch.Tensor, cameras: torch.Tensor, points: torch.Tensor):
        """Views and world points (B, P, 3) -> signed distances (B, P), colors (B, P, 3), and the depths (B, L, S, S,
        depths) that the first ``VIEWS_WITH_GRAD`` views predict, in half sides from the origin."""
        maps = self.extract_features(images)
        volume = self.unet(self.aggregate_views(maps, cameras))
        last = self.features.join0[-1].out_channels
        return *self.decoder(volume, points / self.half_side), maps[:, :VIEWS_WITH_GRAD, ..., last - self.depths : last]

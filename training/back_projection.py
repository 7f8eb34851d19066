"""``SurfaceNetwork.aggregate_views`` in Triton: features of all views looked up and pooled in one pass, there and back.

Step by step PyTorch writes the looked-up features of every view (B x R^3 x C floats) and keeps them for the way back,
whose scattered additions it makes channel by channel. Here a cell's features stay in registers and are looked up again
on the way back, where the channels of a pixel lie side by side.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch.nn import functional as F

from backend.camera import FOCAL, RADIUS
from backend.surface.network import SHARPNESS, SurfaceNetwork

CELLS = 64
"""Cells that a program holds at once."""
LEARNING = 9
"""Views that pass gradients back, the first of a sample: all views share the 2D network, so a few of them say enough
about it, and the way back is the dearest part of a view."""


@triton.jit
def _place(cells, camera, cell, inside, SIDE: tl.constexpr, FOCAL: tl.constexpr):
    """Where cells fall in a view: column and row in pixels, counted from the center of the first pixel; their depth."""
    x = tl.load(cells + cell * 3, mask=inside, other=0) - tl.load(camera + 3)
    y = tl.load(cells + cell * 3 + 1, mask=inside, other=0) - tl.load(camera + 7)
    z = tl.load(cells + cell * 3 + 2, mask=inside, other=0) - tl.load(camera + 11)
    right = x * tl.load(camera) + y * tl.load(camera + 4) + z * tl.load(camera + 8)
    up = x * tl.load(camera + 1) + y * tl.load(camera + 5) + z * tl.load(camera + 9)
    back = x * tl.load(camera + 2) + y * tl.load(camera + 6) + z * tl.load(camera + 10)
    scale = FOCAL * SIDE / -tl.minimum(back, -1e-3)
    return SIDE / 2 - 0.5 + right * scale, SIDE / 2 - 0.5 - up * scale, -back


@triton.jit
def _tap(column, row, corner: tl.constexpr, SIDE: tl.constexpr):
    """One of the four pixels around a place: its index, its weight, and whether it is in the frame."""
    left, top = tl.floor(column), tl.floor(row)
    right, down = column - left, row - top
    x, y = left.to(tl.int32) + corner % 2, top.to(tl.int32) + corner // 2
    weight = (right if corner % 2 else 1 - right) * (down if corner // 2 else 1 - down)
    return y * SIDE + x, weight, (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)


@triton.jit
def _look_up(
    maps, cameras, cells, view, cell, inside, channel, sharpness,
    SIDE: tl.constexpr, FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr, W: tl.constexpr,
):  # fmt: skip
    """Features (cells, W) of one of all samples' views, bilinear, zero outside the frame, and their slope by what was
    looked up; cells' columns and rows.

    Where ``sharpness`` (W,) is positive a feature guesses a depth, and becomes the cell's vote.
    """
    column, row, depth = _place(cells, cameras + view * 16, cell, inside, SIDE, FOCAL)
    found = tl.zeros([column.shape[0], W], tl.float32)
    for corner in tl.static_range(4):
        pixel, weight, framed = _tap(column, row, corner, SIDE)
        place = view * SIDE * SIDE * W + pixel[:, None] * W + channel[None, :]
        taps = tl.load(maps + place, mask=(framed & inside)[:, None], other=0).to(tl.float32)
        found += taps * weight[:, None]
    vote = 2 * tl.sigmoid(2 * sharpness[None, :] * (found - ((depth - RADIUS) / HALF)[:, None])) - 1  # tanh
    framed = (tl.abs(column + 0.5 - SIDE / 2) <= SIDE / 2) & (tl.abs(row + 0.5 - SIDE / 2) <= SIDE / 2)
    vote = tl.where(framed[:, None], vote, 0.0)
    slope = tl.where(framed[:, None], sharpness[None, :] * (1 - vote * vote), 0.0)
    guesses = sharpness[None, :] > 0
    return tl.where(guesses, vote, found), tl.where(guesses, slope, 1.0), column, row


@triton.jit
def _sharpness(channel, C: tl.constexpr, D: tl.constexpr, SOFT: tl.constexpr, SHARP: tl.constexpr):
    """Of every channel: of the D before the last one, which is the background."""
    guesses = (channel >= C - 1 - D) & (channel < C - 1)
    return tl.where(guesses, tl.where(channel < C - 1 - D // 2, SOFT, SHARP), 0.0)


@triton.jit
def _pool(
    maps, cameras, cells, out, views, count, C: tl.constexpr, D: tl.constexpr, W: tl.constexpr,
    OUT: tl.constexpr, SIDE: tl.constexpr, FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr,
    SOFT: tl.constexpr, SHARP: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Mean, variance, the first view's features, and the largest votes and background of every cell."""
    sample = tl.program_id(1)
    cell = tl.program_id(0) * N + tl.arange(0, N)
    inside = cell < count
    channel = tl.arange(0, W)
    total = tl.zeros([N, W], tl.float32)
    square = tl.zeros([N, W], tl.float32)
    largest = tl.full([N, W], -1.0, tl.float32)
    sharpness = _sharpness(channel, C, D, SOFT, SHARP)
    into = out + (sample * count + cell)[:, None].to(tl.int64) * OUT + channel[None, :]
    written = inside[:, None] & (channel < C)[None, :]
    for view in range(views):
        which = (sample * views + view).to(tl.int64)
        seen, _, _, _ = _look_up(
            maps, cameras, cells, which, cell, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        total += seen
        square += seen * seen
        largest = tl.maximum(largest, seen)
        if view == 0:
            tl.store(into + 2 * C, seen, mask=written)
    mean = total / views
    tl.store(into, mean, mask=written)
    tl.store(into + C, square / views - mean * mean, mask=written)
    tl.store(into + 2 * C + 1 + D, largest, mask=written & (channel >= C - 1 - D)[None, :])


@triton.jit
def _unpool(
    maps, cameras, cells, slopes, out, views, learning, count, C: tl.constexpr, D: tl.constexpr, W: tl.constexpr,
    OUT: tl.constexpr, SIDE: tl.constexpr, FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr,
    SOFT: tl.constexpr, SHARP: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Gradients of the first views' feature maps, added up in float32; none for the last channel, the background."""
    sample = tl.program_id(1)
    cell = tl.program_id(0) * N + tl.arange(0, N)
    inside = cell < count
    channel = tl.arange(0, W)
    given = slopes + (sample * count + cell)[:, None].to(tl.int64) * OUT + channel[None, :]
    read = inside[:, None] & (channel < C - 1)[None, :]
    guesses = read & (channel >= C - 1 - D)[None, :]
    of_largest = tl.load(given + 2 * C + 1 + D, mask=guesses, other=0).to(tl.float32)
    sharpness = _sharpness(channel, C, D, SOFT, SHARP)
    of_variance = 2 * tl.load(given + C, mask=read, other=0).to(tl.float32) / views
    total = tl.zeros([N, W], tl.float32)
    largest = tl.full([N, W], -1.0, tl.float32)
    for view in range(views):
        which = (sample * views + view).to(tl.int64)
        seen, _, _, _ = _look_up(
            maps, cameras, cells, which, cell, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        total += seen
        largest = tl.maximum(largest, seen)
    constant = tl.load(given, mask=read, other=0).to(tl.float32) / views - of_variance * total / views
    for view in range(learning):
        which = (sample * views + view).to(tl.int64)
        seen, steep, column, row = _look_up(
            maps, cameras, cells, which, cell, inside, channel, sharpness, SIDE, FOCAL, RADIUS, HALF, W
        )
        slope = constant + of_variance * seen
        if view == 0:
            slope += tl.load(given + 2 * C, mask=read, other=0).to(tl.float32)
        slope += tl.where(seen == largest, of_largest, 0.0)
        slope *= steep
        for corner in tl.static_range(4):
            pixel, weight, framed = _tap(column, row, corner, SIDE)
            into = out + which * SIDE * SIDE * W + pixel[:, None] * W + channel[None, :]
            tl.atomic_add(into, slope * weight[:, None], mask=read & framed[:, None], sem="relaxed")


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, cameras, cells, half_side: float, channels: int, depths: int):
        batch, views, side, _, wide = maps.shape
        out = maps.new_empty(batch, len(cells), 3 * channels + depths + 4)
        out[..., 3 * channels + depths + 1 :] = cells / half_side
        shape = {"C": channels, "D": depths, "W": wide, "OUT": out.shape[-1], "SIDE": side, "N": CELLS}
        shape |= {"FOCAL": FOCAL, "RADIUS": RADIUS, "HALF": half_side, "SOFT": SHARPNESS[0], "SHARP": SHARPNESS[1]}
        grid = (triton.cdiv(len(cells), CELLS), batch)
        _pool[grid](maps, cameras, cells, out, views, len(cells), **shape)
        ctx.save_for_backward(maps, cameras, cells)
        ctx.shape, ctx.grid = shape, grid
        return out

    @staticmethod
    def backward(ctx, slopes):
        maps, cameras, cells = ctx.saved_tensors
        views = maps.shape[1]
        out = torch.zeros_like(maps, dtype=torch.float32)
        learning = min(views, LEARNING)
        _unpool[ctx.grid](maps, cameras, cells, slopes.contiguous(), out, views, learning, len(cells), **ctx.shape)
        return out.to(maps.dtype), None, None, None, None, None


class OnePassNetwork(SurfaceNetwork):
    """A ``SurfaceNetwork`` for training on the GPU: the same weights and, but for rounding, the same answers.

    Only the first ``LEARNING`` views pass gradients to the features that all views share.
    """

    def extract_features(self, pictures: torch.Tensor) -> torch.Tensor:
        """As ``SurfaceNetwork.extract_features``, but (B, V, S, S, features and more), padded with zeros to a power of
        two."""
        maps = self._extract_features(pictures[:, :LEARNING])
        if pictures.shape[1] > LEARNING:
            with torch.no_grad():
                rest = self._extract_features(pictures[:, LEARNING:])
            maps = torch.cat([maps, rest], 1)
        return maps

    def _extract_features(self, pictures: torch.Tensor) -> torch.Tensor:
        flat = pictures.flatten(0, 1)
        maps = self.features(flat * 2 - 1).permute(0, 2, 3, 1)
        spare = triton.next_power_of_2(maps.shape[-1] + 1) - maps.shape[-1] - 1
        background = F.pad(1 - flat[:, 3, :, :, None].to(maps.dtype), (0, spare))
        return torch.cat([maps, background], -1).unflatten(0, pictures.shape[:2])

    def aggregate_views(self, maps: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """As ``SurfaceNetwork.aggregate_views``, channels last, in the precision of the features."""
        channels = self.features.join0[-1].out_channels + 1
        cells = self.voxel_centers(maps.device).contiguous()
        pooled = _Pool.apply(
            maps.contiguous(), cameras.float().contiguous(), cells, self.half_side, channels, self.depths
        )
        return pooled.unflatten(1, (self.resolution,) * 3).permute(0, 4, 1, 2, 3)

    def forward(self, pictures: torch.Tensor, cameras: torch.Tensor, points: torch.Tensor):
        """Views and world points (B, P, 3) -> signed distances (B, P), colors (B, P, 3), and the depths (B, L, S, S,
        depths) that the first ``LEARNING`` views guess, in half sides from the origin."""
        maps = self.extract_features(pictures)
        volume = self.unet(self.aggregate_views(maps, cameras))
        last = self.features.join0[-1].out_channels
        return *self.decoder(volume, points / self.half_side), maps[:, :LEARNING, ..., last - self.depths : last]

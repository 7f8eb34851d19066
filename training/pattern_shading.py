"""The patterns of ``training.patterns`` in Triton: laid over a texture's colors while a mesh is rendered, or at points.

Noise is a sum of four octaves of gyroids, each turned against the one before: it needs no table and no hash.
"""

# Triton declares constexpr where a kernel takes a plain value, and no iteration over tl.static_range.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl

from procedural.triton_patterns import pattern_mix
from training.patterns import LENGTH as _LENGTH
from training.patterns import Column, Kind

# Kernels can read global numbers only as constexpr, and no attributes of enums.
LENGTH = tl.constexpr(_LENGTH)
FRAME = tl.constexpr(int(Column.FRAME))
ROUGHNESS = tl.constexpr(int(Column.ROUGHNESS))
FIRST = tl.constexpr(int(Column.FIRST))
SECOND = tl.constexpr(int(Column.SECOND))
TARGET = tl.constexpr(int(Column.TARGET))
REACH = tl.constexpr(int(Column.REACH))
WAVES = tl.constexpr(int(Kind.WAVES))
WOOD = tl.constexpr(int(Kind.WOOD))
PLANKS = tl.constexpr(int(Kind.PLANKS))
MARBLE = tl.constexpr(int(Kind.MARBLE))
SPECKLES = tl.constexpr(int(Kind.SPECKLES))
NOISE_FREQUENCY = tl.constexpr(0.35)
"""Cycles of the noise's first octave per cycle of the pattern."""
BLOCK = 256
"""Points per program."""


@triton.jit
def _wave(cycles):
    """A sine made of parabolas, -1..1. The sine itself would double the registers of the kernels."""
    phase = cycles - tl.floor(cycles) - 0.5
    return phase * (16 * tl.abs(phase) - 8)


@triton.jit
def _noise(x, y, z):
    """About -1..1, at points in cycles of its first octave."""
    total = x * 0
    amplitude = 0.5
    for _ in range(4):
        total += amplitude * (_wave(x) * _wave(y + 0.25) + _wave(y) * _wave(z + 0.25) + _wave(z) * _wave(x + 0.25))
        amplitude *= 0.5
        # a rotation, and a little more than an octave, so that nothing repeats
        x, y, z = 1.64 * y + 1.23 * z, -1.64 * x + 0.738 * y - 0.984 * z, -1.23 * x - 0.984 * y + 1.312 * z
        x, y, z = x + 0.27, y + 0.65, z + 0.46
    return total


@triton.jit
def _mix(row, kind, x, y, z):
    """Share of the second color, 0..1, at points in the object's own space."""
    m = row + FRAME
    u = tl.load(m) * x + tl.load(m + 1) * y + tl.load(m + 2) * z + tl.load(m + 3)
    v = tl.load(m + 4) * x + tl.load(m + 5) * y + tl.load(m + 6) * z + tl.load(m + 7)
    w = tl.load(m + 8) * x + tl.load(m + 9) * y + tl.load(m + 10) * z + tl.load(m + 11)
    roughness = tl.load(row + ROUGHNESS)
    noise = u * 0
    if roughness > 0:
        noise = _noise(u * NOISE_FREQUENCY, v * NOISE_FREQUENCY, w * NOISE_FREQUENCY)
    u, v, w = u + roughness * noise, v + roughness * noise, w + roughness * noise
    mix = noise
    if kind <= WAVES:
        mix = pattern_mix(kind, 6.283185307179586, u, v, w, w, w)
    elif kind == WOOD:
        ring = tl.sqrt(u * u + v * v)
        ring -= tl.floor(ring)
        mix = ring * ring
    elif kind == PLANKS:
        board = tl.floor(w)
        mix = 0.3 + 0.3 * _wave(0.382 * board) + 0.25 * noise
        mix = tl.where(w - board < 0.07, 1.0, mix)
    elif kind == MARBLE:
        vein = 1 - tl.abs(_wave(0.5 * u))
        mix = vein * vein * vein
    elif kind == SPECKLES:
        mix = 6 * (noise - 0.35)
    else:
        mix = 0.5 + noise - w
    return tl.minimum(tl.maximum(mix, 0.0), 1.0)


@triton.jit
def pattern_color(row, x, y, z, red, green, blue):
    """What the pattern at the pointer ``row``, which is of some kind, makes of colors in 0..1 at points in the object's
    own space."""
    mix = _mix(row, tl.load(row), x, y, z)
    target_r, target_g, target_b = tl.load(row + TARGET), tl.load(row + TARGET + 1), tl.load(row + TARGET + 2)
    away = tl.maximum(tl.maximum(tl.abs(red - target_r), tl.abs(green - target_g)), tl.abs(blue - target_b))
    covered = away < tl.load(row + REACH)
    first, second = tl.load(row + FIRST), tl.load(row + SECOND)
    factor = first + mix * (second - first)
    first, second = tl.load(row + FIRST + 1), tl.load(row + SECOND + 1)
    new_r = factor * red + first + mix * (second - first)
    first, second = tl.load(row + FIRST + 2), tl.load(row + SECOND + 2)
    new_g = factor * green + first + mix * (second - first)
    first, second = tl.load(row + FIRST + 3), tl.load(row + SECOND + 3)
    new_b = factor * blue + first + mix * (second - first)
    return tl.where(covered, new_r, red), tl.where(covered, new_g, green), tl.where(covered, new_b, blue)


@triton.jit
def _pattern_kernel(patterns, is_second, points, colors, out, number, LENGTH: tl.constexpr, BLOCK: tl.constexpr):
    scene = tl.program_id(1).to(tl.int64)
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < number
    index += scene * number
    x = tl.load(points + 3 * index, mask=inside, other=0.0)
    y = tl.load(points + 3 * index + 1, mask=inside, other=0.0)
    z = tl.load(points + 3 * index + 2, mask=inside, other=0.0)
    red = tl.load(colors + 3 * index, mask=inside, other=0.0)
    green = tl.load(colors + 3 * index + 1, mask=inside, other=0.0)
    blue = tl.load(colors + 3 * index + 2, mask=inside, other=0.0)
    part = tl.load(is_second + index, mask=inside, other=0)
    for which in range(2):
        row = patterns + (scene * 2 + which) * LENGTH
        if tl.load(row) > 0:
            new_r, new_g, new_b = pattern_color(row, x, y, z, red, green, blue)
            red = tl.where(part == which, new_r, red)
            green = tl.where(part == which, new_g, green)
            blue = tl.where(part == which, new_b, blue)
    tl.store(out + 3 * index, red, mask=inside)
    tl.store(out + 3 * index + 1, green, mask=inside)
    tl.store(out + 3 * index + 2, blue, mask=inside)


def pattern_colors(
    patterns: torch.Tensor, is_second: torch.Tensor, points: torch.Tensor, colors: torch.Tensor
) -> torch.Tensor:
    """What patterns (B, 2, LENGTH), those of each mesh's first and second object, make of the colors (B, N, 3) in 0..1
    of points (B, N, 3) in these objects' own spaces, which are on the second one where ``is_second`` (B, N) bool."""
    batch, number, _ = points.shape
    out = torch.empty_like(colors, memory_format=torch.contiguous_format)
    _pattern_kernel[(triton.cdiv(number, BLOCK), batch)](  # pyright: ignore[reportIndexIssue] - Triton types no launches
        patterns.contiguous(), is_second.to(torch.int32), points.contiguous(), colors.contiguous(), out, number,
        LENGTH=LENGTH.value, BLOCK=BLOCK,
    )  # fmt: skip
    return out

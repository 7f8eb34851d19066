"""How the two colors of a material mix, in Triton: ``procedural.schema.Pattern``, point for point as in
``procedural.sdf``."""

# Triton declares constexpr where a kernel takes a plain value.
# pyright: reportArgumentType=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from procedural.schema import Pattern

STRIPES = tl.constexpr(int(Pattern.STRIPES))
CHECKS = tl.constexpr(int(Pattern.CHECKS))
DOTS = tl.constexpr(int(Pattern.DOTS))
GRADIENT = tl.constexpr(int(Pattern.GRADIENT))
NOISE = tl.constexpr(int(Pattern.NOISE))


@triton.jit
def sine(x):
    """Also of what the interpreter holds in double precision."""
    return tl.sin(x.to(tl.float32))


@triton.jit
def cosine(x):
    """Also of what the interpreter holds in double precision."""
    return tl.cos(x.to(tl.float32))


@triton.jit
def pattern_mix(pattern, wave, u, v, w, across, height):
    """Share of the second color, 0..1, at local points (u, v, w).

    ``pattern`` is a number, and so is ``wave``, 2 pi times the frequency. Stripes follow each other along the
    coordinate ``across``, and a gradient goes from ``height`` -1 to 1.
    """
    mix = u * 0
    if pattern == STRIPES:
        mix = tl.where(sine(wave * across) > 0, 1.0, 0.0)
    elif pattern == CHECKS:
        mix = tl.where(sine(wave * u + 0.5) * sine(wave * v + 0.5) * sine(wave * w + 0.5) > 0, 1.0, 0.0)
    elif pattern == DOTS:
        mix = tl.where(cosine(wave * u) + cosine(wave * v) + cosine(wave * w) > 1.3, 1.0, 0.0)
    elif pattern == GRADIENT:
        mix = tl.minimum(tl.maximum(0.5 + 0.5 * height, 0.0), 1.0)
    elif pattern == NOISE:
        mix = 0.5 + 0.5 * sine(wave * u + 2 * sine(wave * (0.7 * v + 0.4 * w)))
    return mix

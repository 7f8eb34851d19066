"""Colors and materials of primitives: palettes, and functions that sample from them."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

from procedural.schema import Pattern


class Material(NamedTuple):
    """Two colors (sRGB 0..1) and the pattern in which they alternate."""

    color_a: tuple
    color_b: tuple
    pattern: int
    """A ``Pattern``."""
    frequency: float = 1.0
    """Cycles per unit of length."""
    axis: int = 2
    """Local axis 0..2 across which stripes run."""


def _palette(text: str) -> tuple:
    return tuple(tuple(int(h[i : i + 2], 16) / 255 for i in (0, 2, 4)) for h in text.split())


PALETTES = tuple(
    _palette(text)
    for text in (
        "264653 2a9d8f e9c46a f4a261 e76f51",
        "d62828 f77f00 fcbf49 003049 eae2b7",
        "ffadad ffd6a5 caffbf 9bf6ff a0c4ff bdb2ff ffc6ff",
        "f4acb7 9d8189 d8e2dc ffcad4 8ecae6",
        "606c38 283618 dda15e bc6c25 e9dfb4",
        "1d3557 457b9d a8dadc e63946 e8e4d8",
        "8338ec ff006e fb5607 ffbe0b 3a86ff",
        "582f0e 7f4f24 936639 a68a64 b6ad90 656d4a 414833",
        "222222 555555 999999 cccccc b22222",
        "cdb4db ffc8dd ffafcc bde0fe a2d2ff",
        "006d77 83c5be e29578 ffddd2 3d405b",
        "2b2d42 8d99ae dfe1e8 ef233c d90429",
    )
)
WOOD = _palette("8b5a2b a0703c c49a6c 5c3a1e d2b48c 6f4518 b07d4b")
METAL = _palette("8a8d91 b8bcc0 5b5f66 c9a227 b87333 3c3f44 d4d7da")
LEAF = _palette("3a7d2c 2d6a4f 6a994e 8fb339 1f5a2e 52794a a7c957")
AUTUMN = _palette("d1722b e0a526 b5392c e8b4c8 f2c6d0")
FUR = _palette("8b5a2b c68642 3b2a1e d9b382 9a9a9a 2b2b2b e6dccb a65e2e 6e6259 cfa07a")
HUMAN = _palette("f1c7a5 e0ac84 c68863 8d5a3b 5c3a26 f5d6c0")
STONE = _palette("9a938a b9b1a5 7d7a75 c8bfae a98f73")
BRICK = _palette("a4452f b5654a d9c3a0 e8dcc4 c9d6df 9fb8ad f0d9a8 8f9aa5")
ROOF = _palette("7b2d26 a23b2a 4a4e57 5b4636 2f4858 8c5a3c")
BLACK, WHITE, GLASS, TIRE = (0.07, 0.07, 0.08), (0.92, 0.92, 0.9), (0.5, 0.68, 0.8), (0.13, 0.13, 0.14)
RED, ORANGE, YELLOW, GOLD = (0.8, 0.15, 0.13), (0.95, 0.55, 0.12), (0.96, 0.8, 0.25), (0.83, 0.65, 0.2)


def tint(rng, color, amount: float = 0.06) -> tuple:
    """The color, made a little lighter or darker and shifted a little."""
    light = rng.uniform(-amount, amount)
    shift = rng.uniform(-amount / 2, amount / 2, 3)
    return tuple(min(max(color[i] + light + shift[i], 0.03), 0.94) for i in range(3))


def pick(rng, palette) -> tuple:
    """A random color of a palette (a tuple of colors), slightly tinted."""
    return tint(rng, palette[int(rng.integers(len(palette)))])


def colors(rng, count: int) -> list:
    """``count`` colors that go together: mostly from a palette, else neighboring or opposite hues."""
    if rng.random() < 0.65:
        palette = PALETTES[int(rng.integers(len(PALETTES)))]
        order = rng.permutation(len(palette))
        return [tint(rng, palette[order[i % len(palette)]], 0.04) for i in range(count)]
    hue, step = rng.random(), (0.08, 0.5, 0.33)[int(rng.integers(3))]
    saturation, value = rng.uniform(0.15, 0.9), rng.uniform(0.35, 0.93)
    return [
        colorsys.hsv_to_rgb(
            (hue + step * i + rng.uniform(-0.03, 0.03)) % 1, saturation, min(value * rng.uniform(0.8, 1.15), 0.94)
        )
        for i in range(count)
    ]


def solid(color) -> Material:
    """A material of one color."""
    return Material(color, color, Pattern.SOLID)


def patterned(first, second, pattern: int, frequency: float = 3.0, axis: int = 2) -> Material:
    """A material of two colors; ``frequency`` in cycles per unit of length, ``axis`` 0..2 local."""
    return Material(first, second, pattern, frequency, axis)


def maybe_patterned(rng, first, second, chance: float = 0.35) -> Material:
    """The first color, with probability ``chance`` patterned with the second."""
    if rng.random() >= chance:
        return solid(first)
    return patterned(first, second, int(rng.integers(1, 6)), rng.uniform(1.5, 4.5), int(rng.integers(3)))


def natural(rng, color, chance: float = 0.5) -> Material:
    """A natural surface: with probability ``chance`` soft noise or a gradient towards a darker tone, else solid."""
    darker = tuple(0.72 * c for c in color)
    if rng.random() >= chance:
        return solid(color)
    pattern = Pattern.GRADIENT if rng.random() < 0.5 else Pattern.NOISE
    return patterned(darker, color, pattern, rng.uniform(2.0, 5.0))

"""Mugs, bottles and vases: bodies of revolution, mostly hollow."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import METAL, WHITE, colors, maybe_patterned, pick, solid, tint
from .primitives import cone, ellipsoid, limb, ring, rotated, to_rows

ON_THE_RIGHT = rotated(x=-90)
"""Rotation of a ring that stands upright and opens towards -X: a handle on the right."""


def mug(rng: np.random.Generator) -> np.ndarray:
    """A cup with a handle, straight, tapered or round-bellied, sometimes with a drink in it."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    height, wall = u(0.5, 1.05), u(0.07, 0.13)
    low = u(0.5, 0.85)
    high = low * u(0.95, 1.35) if rng.random() < 0.5 else low
    body = maybe_patterned(rng, first, second, 0.5)
    rows = [cone((0, 0, 0), low, high, height, body, u(0.02, 0.12))]
    if rng.random() < 0.25:
        low = high = (low + high) / 2
        rows = [ellipsoid((0, 0, -0.1 * height), (low * 1.2, low * 1.2, height * 0.9), body)]
        rows += [
            cone((0, 0, height * 0.35), low, low, height * 0.65, body),
            cone((0, 0, -0.85 * height), low * 0.7, low * 0.7, 0.15 * height, body),
        ]
    grip, thick = height * u(0.48, 0.65), u(0.07, 0.13)
    middle = (low + high) / 2
    handle = solid(second if rng.random() < 0.3 else first)
    rows.append(ring((middle, 0, u(-0.05, 0.1) * height), grip, thick, handle, 115, ON_THE_RIGHT))
    inside = solid(tint(rng, WHITE) if rng.random() < 0.5 else third)
    rows.append(cone((0, 0, wall * 2), max(low - wall, 0.2), high - wall, height, inside, 0.05, op=Operation.SUBTRACT))
    if rng.random() < 0.5:
        drink = solid(tint(rng, [(0.3, 0.17, 0.08), (0.6, 0.4, 0.2), (0.75, 0.5, 0.2)][int(rng.integers(3))]))
        level = u(0.2, 0.6) * height
        rows.append(
            cone(
                (0, 0, (level - height) / 2),
                low - wall * 0.9,
                middle - wall * 0.9,
                (level + height) / 2 - 0.05,
                drink,
                0.0,
            )
        )
    if rng.random() < 0.3:
        rows.append(ring((0, 0, u(-0.6, 0.6) * height), middle - 0.01, wall * 0.5, solid(third)))
    return to_rows(rows)


def bottle(rng: np.random.Generator) -> np.ndarray:
    """A bottle, jar or flask: body, shoulder, neck and stopper, often with a label."""
    u = rng.uniform
    glass, label, cap = colors(rng, 3)
    width, height = u(0.32, 0.6), u(0.5, 0.95)
    neck, neck_height, shoulder = width * u(0.25, 0.5), u(0.12, 0.4), u(0.1, 0.3)
    paint = maybe_patterned(rng, glass, tint(rng, glass, 0.15), 0.3)
    kind = int(rng.integers(4))
    if kind == 0:
        height = width * u(0.9, 1.2)
        rows = [
            ellipsoid((0, 0, 0), (width * 1.15, width * 1.15, height), paint),
            cone((0, 0, -height * 0.9), width * 0.6, width * 0.6, 0.1, paint),
        ]
        top = height * 0.85
    else:
        waist = width * (u(0.7, 0.85) if kind == 1 else 1.0)
        rows = [cone((0, 0, 0), width, width, height, paint, 0.06)]
        if kind == 1:
            rows = [
                cone((0, 0, -height / 2), width, waist, height / 2, paint),
                cone((0, 0, height / 2), waist, width, height / 2, paint),
            ]
        rows.append(cone((0, 0, height + shoulder), width * 0.98, neck, shoulder, paint, 0.03, blend=0.08))
        top = height + 2 * shoulder
    rows.append(cone((0, 0, top + neck_height), neck, neck * u(0.85, 1.0), neck_height + 0.1, paint, 0.02, blend=0.05))
    top += 2 * neck_height
    if kind in (2, 3) and rng.random() < 0.8:
        paper = maybe_patterned(rng, label, cap, 0.5)
        rows.append(cone((0, 0, u(-0.2, 0.2) * height), width + 0.02, width + 0.02, height * u(0.25, 0.5), paper, 0.01))
    if rng.random() < 0.75:
        lid = pick(rng, METAL) if rng.random() < 0.3 else cap
        rows.append(cone((0, 0, top + 0.1), neck * 1.2, neck * u(0.9, 1.2), u(0.1, 0.18), solid(lid), 0.03))
    else:
        rows += [
            ring((0, 0, top + 0.06), neck * 0.95, 0.05, paint),
            cone((0, 0, top), neck * 0.6, neck * 0.6, 0.4, solid(tint(rng, glass, 0.2)), op=Operation.SUBTRACT),
        ]
    return to_rows(rows)


def vase(rng: np.random.Generator) -> np.ndarray:
    """A hollow vase or amphora: foot, belly, neck and lip blended together, sometimes with handles or colored bands."""
    u = rng.uniform
    clay, band, inner = colors(rng, 3)
    belly, height, neck = u(0.45, 0.8), u(0.5, 0.95), u(0.18, 0.34)
    neck_height, lip = u(0.1, 0.45), u(0.28, 0.6)
    paint = maybe_patterned(rng, clay, band, 0.5)
    rows = [
        ellipsoid((0, 0, 0), (belly, belly, height), paint),
        cone((0, 0, -height * 0.92), belly * u(0.45, 0.75), belly * 0.4, 0.14, paint, blend=0.1),
        cone((0, 0, height * 0.8 + neck_height), neck, neck, neck_height + 0.1, paint, blend=0.15),
        cone(
            (0, 0, height * 0.85 + 2 * neck_height), neck, max(lip, neck + 0.05), u(0.08, 0.2), paint, 0.03, blend=0.08
        ),
    ]
    if rng.random() < 0.4:
        grip = 0.35 * height + neck_height
        rows.append(
            ring(
                (neck * 0.95, 0, height * 0.7 + neck_height * 0.5),
                grip * 0.6,
                0.07,
                solid(band),
                105,
                ON_THE_RIGHT,
                mirror=Mirror.X,
            )
        )
    if rng.random() < 0.5:
        rows.append(ring((0, 0, 0), belly - 0.01, 0.05, solid(band)))
    top = height * 0.85 + 2 * neck_height
    rows.append(limb((0, 0, 0), (0, 0, top + 0.5), neck * 0.6, neck * 0.75, solid(inner), op=Operation.SUBTRACT))
    rows.append(
        cone((0, 0, top + 0.1), neck * 0.6, max(lip, neck + 0.05) * 0.85, 0.2, solid(inner), op=Operation.SUBTRACT)
    )
    return to_rows(rows)

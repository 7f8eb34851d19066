"""Food: burger and fruit."""

from __future__ import annotations

import numpy as np

from procedural.schema import Operation, Pattern

from .materials import (
    LEAF,
    RED,
    WOOD,
    YELLOW,
    colors,
    maybe_patterned,
    natural,
    patterned,
    pick,
    solid,
    tint,
)
from .primitives import box, cone, ellipsoid, limb, prism, rod, rotated, to_rows

BREAD, CHOCOLATE = (0.82, 0.58, 0.3), (0.3, 0.17, 0.1)


def meal(rng: np.random.Generator) -> np.ndarray:
    """Burger, apple, pear, pumpkin, pineapple, carrot or a bowl of fruit."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    leaf, kind = solid(pick(rng, LEAF)), int(rng.integers(7))
    twig = solid(pick(rng, WOOD))
    if kind == 0:
        bread = tint(rng, BREAD)
        wide, z = u(0.7, 0.85), 0.17
        rows = [
            ellipsoid((0, 0, 0.35), (wide, wide, u(0.4, 0.6)), patterned(bread, (0.93, 0.88, 0.7), Pattern.DOTS, 3.5)),
            box((0, 0, -0.8), (2, 2, 1.1), solid(bread), op=Operation.SUBTRACT),
        ]
        for color, size, half in (
            (LEAF[3], 1.08, 0.06),
            (RED, 0.95, 0.06),
            (CHOCOLATE, 1.03, 0.12),
            (YELLOW, 1.0, 0.05),
        )[: int(rng.integers(3, 5))]:
            rows.append(
                cone(
                    (0, 0, z + 0.1),
                    wide * size,
                    wide * size * u(0.97, 1.03),
                    half + 0.035,
                    solid(tint(rng, color)),
                    0.05,
                )
            )
            z -= 2 * half
        rows.append(cone((0, 0, z - 0.05), wide * 0.9, wide, 0.18, solid(bread), 0.1))
    elif kind in (1, 2):
        skins = (RED, (0.75, 0.8, 0.25), (0.9, 0.75, 0.2))[int(rng.integers(3))]
        peel, size = natural(rng, tint(rng, skins), 0.5), u(0.5, 0.6)
        if kind == 1:
            rows = [
                ellipsoid((0, 0, 0), (size, size, size * u(0.85, 0.98)), peel),
                ellipsoid((0, 0, size * 1.05), (0.22, 0.22, 0.3), peel, op=Operation.SUBTRACT, blend=0.1),
            ]
            top = size * 0.7
        else:
            rows = [
                ellipsoid((0, 0, 0), size, peel),
                ellipsoid((0, 0, size * u(0.9, 1.1)), (size * 0.55, size * 0.55, size * 0.65), peel, blend=0.35),
            ]
            top = size * 1.55
        tip = (0.08, 0, top + u(0.25, 0.35))
        rows.append(rod((0, 0, top - 0.12), tip, 0.05, 0.055, twig))
        if rng.random() < 0.8:
            rows.append(ellipsoid((0.24, 0, top + 0.16), (0.24, 0.1, 0.045), leaf, rotated(y=-20)))
        if kind == 1 and rng.random() < 0.25:
            rows.append(ellipsoid((size, -0.1, 0.05), 0.26, solid((0.93, 0.89, 0.7)), op=Operation.SUBTRACT))
    elif kind == 3:
        orange, count = tint(rng, (0.9, 0.48, 0.12)), int(rng.integers(7, 10))
        rows = [
            ellipsoid((0.32, 0, 0), (0.36, 0.3, u(0.42, 0.55)), solid(orange), repeat=count),
            ellipsoid((0, 0, 0), (0.4, 0.4, 0.38), solid(orange)),
        ]
        rows.append(limb((0, 0, 0.3), (0.08, 0, 0.7), 0.1, 0.07, leaf))
        if rng.random() < 0.5:
            rows.append(
                prism((0.22, -0.6, 0.12), 0.11, 0.0, 0.09, 0.16, solid((0.2, 0.1, 0.05)), 0.0, op=Operation.SUBTRACT)
            )
            rows.append(
                prism((-0.22, -0.6, 0.12), 0.11, 0.0, 0.09, 0.16, solid((0.2, 0.1, 0.05)), 0.0, op=Operation.SUBTRACT)
            )
            rows.append(box((0, -0.62, -0.16), (0.3, 0.16, 0.07), solid((0.2, 0.1, 0.05)), op=Operation.SUBTRACT))
    elif kind == 4:
        rows = [
            ellipsoid(
                (0, 0, 0),
                (0.45, 0.45, u(0.6, 0.75)),
                patterned(tint(rng, (0.85, 0.6, 0.2)), (0.55, 0.33, 0.1), Pattern.CHECKS, 2.5),
            )
        ]
        rows += [
            ellipsoid((out, 0, z), (0.32, 0.1, 0.05), leaf, rotated(y=-steep), repeat=n)
            for out, z, steep, n in ((0.22, 0.72, 35, 6), (0.15, 0.85, 60, 5))
        ]
        rows.append(ellipsoid((0, 0, 0.85), (0.12, 0.12, 0.36), leaf))
    elif kind == 5:
        long = u(0.8, 1.1)
        rows = [
            limb(
                (0, 0, 0),
                (0, 0, -long),
                u(0.24, 0.32),
                0.06,
                patterned(tint(rng, (0.93, 0.5, 0.13)), (0.8, 0.4, 0.1), Pattern.STRIPES, 3.0),
            )
        ]
        rows += [
            limb((0, 0, 0.2), (x, y, u(0.6, 0.9)), 0.06, 0.08, leaf)
            for x, y in ((-0.25, 0), (0.22, 0.1), (0, -0.15), (0.05, 0.2))
        ]
    else:
        rows = [
            ellipsoid((0, 0, 0), (0.8, 0.8, 0.55), maybe_patterned(rng, first, second, 0.5)),
            box((0, 0, 1), (2, 2, 1), solid(third), op=Operation.SUBTRACT),
        ]
        rows += [
            ellipsoid((0, 0, 0.06), (0.7, 0.7, 0.45), solid(third), op=Operation.SUBTRACT),
            cone((0, 0, -0.52), 0.42, 0.35, 0.1, solid(first)),
        ]
        for angle, color in zip((0.3, 2.4, 4.4), (RED, LEAF[3], (0.93, 0.55, 0.15)), strict=True):
            rows.append(
                ellipsoid((0.33 * np.cos(angle), 0.33 * np.sin(angle), 0.0), u(0.27, 0.33), solid(tint(rng, color)))
            )
        rows.append(ellipsoid((0, 0, 0.2), 0.28, patterned(tint(rng, YELLOW), tint(rng, RED), Pattern.NOISE, 1.0)))
    return to_rows(rows)

"""Sweets: cakes, ices, doughnut, lolly."""

from __future__ import annotations

import numpy as np

from procedural.schema import Operation, Pattern

from .materials import METAL, RED, WHITE, WOOD, YELLOW, colors, patterned, pick, solid, tint
from .primitives import box, cone, ellipsoid, prism, ring, rod, rotated, to_rows

BREAD, CHOCOLATE = (0.82, 0.58, 0.3), (0.3, 0.17, 0.1)


def sweet(rng: np.random.Generator) -> np.ndarray:
    """Cupcake, ice-cream cone, sundae, layered cake, doughnut or lolly."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    cream = solid(first) if rng.random() < 0.6 else patterned(first, second, Pattern.DOTS, u(3, 5))
    cherry, kind = solid(tint(rng, RED)), int(rng.integers(6))
    wide = u(0.42, 0.55)
    if kind == 0:
        rows = [
            cone(
                (0, 0, 0),
                wide * 0.7,
                wide,
                u(0.25, 0.35),
                patterned(second, third, Pattern.STRIPES, u(3, 5), 0) if rng.random() < 0.6 else solid(second),
            )
        ]
        z, size = 0.32, wide * 1.12
        if rng.random() < 0.6:
            for _ in range(int(rng.integers(2, 5))):
                rows.append(ring((0, 0, z), size * 0.55, size * 0.42, cream))
                z, size = z + size * 0.42, size * 0.75
            rows.append(ellipsoid((0, 0, z - 0.02), size * 0.75, cream))
            rows.append(cone((0, 0, 0.45), wide * 0.5, wide * 0.3, 0.3, cream))
        else:
            rows.append(ellipsoid((0, 0, z), (size, size, wide * u(0.7, 1.0)), cream))
            z += wide * 0.8
        if rng.random() < 0.7:
            rows.append(ellipsoid((0, 0, z + size * 0.4 if size < 0.4 else z + 0.08), 0.13, cherry))
    elif kind == 1:
        waffle = patterned(BREAD, tint(rng, (0.6, 0.38, 0.16)), Pattern.CHECKS, u(4, 6))
        rows, z = (
            [cone((0, 0, -0.55), 0.05, wide * 0.75, 0.65, waffle), ring((0, 0, 0.1), wide * 0.74, 0.07, solid(BREAD))],
            0.25,
        )
        for i in range(int(rng.integers(1, 4))):
            size = wide * (0.85 - 0.12 * i)
            rows.append(ellipsoid((0, 0, z), size, (cream, solid(second), solid(third))[i]))
            z += size * 1.15
        if rng.random() < 0.5:
            rows.append(ellipsoid((0, 0, z - 0.08), 0.12, cherry))
        if rng.random() < 0.4:
            rows.append(rod((wide * 0.3, 0, 0.25), (wide * 0.75, 0, 1.0), 0.06, 0.06, solid(BREAD)))
    elif kind == 2:
        rows = [
            cone((0, 0, 0), wide * 0.35, wide, 0.32, solid(tint(rng, (0.65, 0.78, 0.85)))),
            rod((0, 0, -0.28), (0, 0, -0.6), 0.08, 0.08, solid((0.65, 0.78, 0.85))),
        ]
        rows += [
            cone((0, 0, -0.6), wide * 0.8, wide * 0.6, 0.06, solid((0.65, 0.78, 0.85))),
            ellipsoid((0.2, 0.05, 0.42), 0.3, cream),
            ellipsoid((-0.2, 0.05, 0.42), 0.3, solid(second)),
        ]
        rows += [ellipsoid((0, -0.05, 0.62), 0.28, solid(third)), ellipsoid((0, -0.05, 0.95), 0.11, cherry)]
    elif kind == 3:
        rows, z, wide = [], 0.0, wide * 1.5
        for _ in range(int(rng.integers(1, 4))):
            tall = u(0.16, 0.28)
            rows.append(
                cone(
                    (0, 0, z + tall),
                    wide,
                    wide,
                    tall,
                    solid(tint(rng, BREAD if rng.random() < 0.4 else CHOCOLATE) if rng.random() < 0.5 else second),
                )
            )
            z += 2 * tall
            rows.append(cone((0, 0, z), wide + 0.03, wide + 0.01, 0.07, cream, 0.05))
            top, wide = wide, wide * u(0.6, 0.8)
        rows.append(ellipsoid((top * 0.75, 0, z + 0.1), 0.1, cherry, repeat=int(rng.integers(4, 8))))
        if rng.random() < 0.6:
            rows += [
                rod((0, 0, z), (0, 0, z + 0.42), 0.05, 0.05, patterned(WHITE, third, Pattern.STRIPES, 6.0)),
                ellipsoid((0, 0, z + 0.48), (0.055, 0.055, 0.1), solid(YELLOW)),
            ]
        if rng.random() < 0.3:
            rows.append(
                prism(
                    (0, -1.0, z / 2),
                    0.0,
                    0.55,
                    0.55,
                    z,
                    solid(tint(rng, BREAD)),
                    0.0,
                    (1.0, 0, 0, 0, 0, 1.0, 0, -1.0, 0),
                    op=Operation.SUBTRACT,
                )
            )
        rows.append(cone((0, 0, -0.03), 1.0, 1.02, 0.05, solid(pick(rng, METAL)), 0.04))
    elif kind == 4:
        fat = u(0.22, 0.34)
        lean = rotated(x=u(40, 75)) if rng.random() < 0.5 else rotated(x=8)
        up = (lean[6], lean[7], lean[8])
        icing = patterned(first, third, Pattern.DOTS, u(3.5, 5)) if rng.random() < 0.6 else cream
        rows = [
            ring((0, 0, 0), 0.55, fat, solid(tint(rng, BREAD)), rotation=lean),
            ring(tuple(0.07 * v for v in up), 0.55, fat * 0.97, icing, rotation=lean),
        ]
    else:
        tall = u(0.5, 0.75)
        rows = [rod((0, 0, -tall - 0.55), (0, 0, 0), 0.07, 0.07, solid(tint(rng, WOOD[4])))]
        if rng.random() < 0.5:
            rows += [
                box((0, 0, 0), (0.36, 0.17, tall), cream, 0.15),
                box((0, 0, tall * 0.6), (0.37, 0.18, tall * 0.42), solid(second), 0.16),
            ]
        else:
            rows.append(
                cone(
                    (0, 0, 0.1),
                    0.5,
                    0.5,
                    0.12,
                    patterned(first, second, int(rng.integers(1, 6)), u(1.5, 3)),
                    0.06,
                    rotated(x=90),
                )
            )
    return to_rows(rows)

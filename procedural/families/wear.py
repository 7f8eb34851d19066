"""Objects to wear or carry: hats, umbrella."""

from __future__ import annotations

import numpy as np

from procedural.schema import Operation

from .materials import WOOD, YELLOW, colors, maybe_patterned, pick, solid, tint
from .primitives import box, cone, ellipsoid, prism, ring, rod, rotated, to_rows


def hat(rng: np.random.Generator) -> np.ndarray:
    """Top hat, sun hat, bowler, cap, cone hat or crown."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    cloth, band = maybe_patterned(rng, first, third, 0.35), solid(second)
    kind, head = int(rng.integers(6)), u(0.45, 0.55)
    hollow = solid(tuple(0.5 * c for c in first))
    if kind == 0:
        tall = u(0.35, 0.6)
        rows = [
            cone((0, 0, 0), head * u(1.45, 1.8), head * 1.5, 0.06, cloth, 0.05),
            cone((0, 0, tall), head, head * u(0.9, 1.2), tall, cloth, 0.04),
        ]
        rows.append(cone((0, 0, 0.15), head + 0.025, head + 0.03, 0.1, band))
    elif kind in (1, 2):
        brim, tall = (u(1.9, 2.4), u(0.28, 0.4)) if kind == 1 else (u(1.35, 1.55), u(0.45, 0.6))
        rows = [
            cone((0, 0, 0), head * brim, head * brim * 0.95, 0.055, cloth, 0.05),
            ellipsoid((0, 0, 0.04), (head, head * 1.1, tall + 0.1), cloth, blend=0.08),
        ]
        rows.append(ellipsoid((0, 0, 0.08), (head + 0.03, head * 1.1 + 0.03, 0.16), band))
        if rng.random() < 0.4:
            rows += [
                ellipsoid((head, 0.1, 0.15), 0.13, solid(third)),
                ellipsoid((head + 0.06, 0.1, 0.15), 0.08, solid(YELLOW)),
            ]
    elif kind == 3:
        rows = [
            ellipsoid((0, 0, 0), (head, head * 1.1, u(0.45, 0.55)), cloth),
            box((0, 0, -0.5), (1, 1, 0.5), hollow, op=Operation.SUBTRACT),
            ellipsoid((0, -head * 1.15, 0.05), (head * 0.85, head * u(0.6, 0.9), 0.07), band),
            ellipsoid((0, 0, 0.5), 0.09, band),
        ]
    elif kind == 4:
        tall = u(0.6, 0.95)
        rows = [cone((0, 0, tall), head, 0.06, tall, cloth, 0.04)]
        if rng.random() < 0.6:
            rows.append(cone((0, 0, 0.02), head * u(1.5, 2.0), head * 1.4, 0.06, cloth, 0.05))
            rows.append(cone((0, 0, 0.16), head * 0.96, head * 0.9, 0.09, band))
        else:
            rows += [ellipsoid((0, 0, 2 * tall), 0.17, band), ring((0, 0, 0.05), head * 0.95, 0.1, band)]
    else:
        gold, count, tall = solid(tint(rng, (0.85, 0.66, 0.2))), int(rng.integers(5, 9)), u(0.2, 0.32)
        rows = [cone((0, 0, 0), head, head * 1.05, tall, gold)]
        # local z stays up, local y turns outwards: a flat triangle that stands on the rim of the sector around +X
        rows.append(
            prism(
                (head - 0.02, 0, tall + 0.12),
                head * 2.4 / count,
                0.02,
                u(0.18, 0.28),
                0.06,
                gold,
                0.01,
                rotated(z=90),
                repeat=count,
            )
        )
        rows.append(
            cone(
                (0, 0, 0.1),
                head - 0.1,
                head - 0.06,
                tall + 0.6,
                solid(tint(rng, (0.6, 0.42, 0.1))),
                op=Operation.SUBTRACT,
            )
        )
        rows.append(ellipsoid((head + 0.02, 0, 0), (0.07, 0.1, 0.1), solid(third), repeat=count))
        rows.append(ring((0, 0, -tall), head, 0.07, gold))
    if kind != 5:
        rows.append(ellipsoid((0, 0, -0.08), (head * 0.85, head * 0.85, 0.25), hollow, op=Operation.SUBTRACT))
    return to_rows(rows)


def umbrella(rng: np.random.Generator) -> np.ndarray:
    """An open umbrella with a crook, or a parasol on a foot."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    width, tall, stick = u(0.8, 1.1), u(0.35, 0.6), u(1.0, 1.5)
    cloth, pole = maybe_patterned(rng, first, second, 0.5), solid(pick(rng, WOOD) if rng.random() < 0.6 else third)
    dark = solid(tuple(0.6 * c for c in first))
    rows = [
        ellipsoid((0, 0, 0), (width, width, tall), cloth),
        ellipsoid((0, 0, -0.09), (width * 0.97, width * 0.97, tall), dark, op=Operation.SUBTRACT),
        box((0, 0, -1), (2, 2, 1), dark, op=Operation.SUBTRACT),
        # scallops: the cover of a real umbrella hangs between the tips of its ribs
        ellipsoid((width, 0, 0), (0.4, width * 0.3, u(0.1, 0.16)), solid(second), op=Operation.SUBTRACT, repeat=8),
        rod((0, 0, tall - 0.1), (0, 0, -stick), 0.05, 0.05, pole),
        rod((0, 0, tall - 0.05), (0, 0, tall + 0.18), 0.06, 0.04, pole),
    ]
    if rng.random() < 0.6:
        rows.append(ring((0.16, 0, -stick), 0.16, 0.06, pole, 90, (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)))
    else:
        rows.append(cone((0, 0, -stick), u(0.3, 0.45), u(0.2, 0.35), 0.09, solid(third), 0.04))
    return to_rows(rows)

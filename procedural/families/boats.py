"""Boats; the bow is on -Y."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import BLACK, GLASS, RED, TIRE, WHITE, WOOD, colors, maybe_patterned, pick, solid, tint
from .primitives import FIN, PROFILE, box, ellipsoid, limb, prism, ring, rod, rotated, to_rows


def _sails(rng, length, depth, wood, second, third) -> list:
    """Mast, boom, main sail and jib, standing in the plane x = 0."""
    u = rng.uniform
    mast, reach = u(1.5, 2.1), u(0.5, 0.75)
    cloth = maybe_patterned(rng, tint(rng, WHITE) if rng.random() < 0.5 else second, third, 0.5)
    spar = solid(wood)
    return [
        rod((0, -0.1, -depth * 0.5), (0, -0.1, mast), 0.05, 0.04, spar),
        prism((0, reach * 0.3, mast * 0.55), reach, 0.03, mast * 0.42, 0.045, cloth, 0.01, FIN),
        rod((0, -0.12, mast * 0.12), (0, reach + 0.25, mast * 0.12), 0.045, 0.04, spar),
        prism((0, -length * 0.45, mast * 0.4), length * 0.32, 0.02, mast * 0.3, 0.04, cloth, 0.01, FIN),
        rod((0, -length * 0.9, -0.1), (0, -0.1, mast * 0.95), 0.035, 0.035, spar),
    ]


def _upper_works(rng, kind, width, length, wood, second) -> list:
    """Cabin, bridge, funnels, mast and life belts of a tug or a steamer."""
    u = rng.uniform
    tall, cabin = u(0.22, 0.34), length * (0.25 if kind == "tug" else 0.55)
    white = solid(tint(rng, WHITE))
    rows = [
        box((0, 0.05, tall - 0.05), (width * 0.6, cabin, tall), white, 0.04),
        box((0, 0.05, tall * 1.25), (width * 0.615, cabin * 0.8, tall * 0.25), maybe_patterned(rng, GLASS, WHITE, 0.5)),
    ]
    if kind == "steamer" or rng.random() < 0.5:
        rows.append(box((0, -0.05, 2 * tall + 0.08), (width * 0.45, cabin * 0.6, 0.16), white, 0.04))
    funnel = maybe_patterned(rng, second, BLACK, 0.5)
    for y in (0.12,) if kind == "tug" else (-0.11, 0.31) if rng.random() < 0.5 else (-0.2, 0.1, 0.4):
        rows.append(rod((0, y, tall), (0, y + 0.05, 2 * tall + u(0.5, 0.6)), 0.12, 0.11, funnel))
    rows.append(rod((0, -length * 0.6, -0.2), (0, -length * 0.6, u(0.6, 0.9)), 0.045, 0.04, solid(wood)))
    belt = solid(tint(rng, RED))
    rows.append(ring((width * 0.62, 0.1, tall * 0.6), 0.1, 0.045, belt, rotation=rotated(y=90), mirror=Mirror.X))
    return rows


def boat(rng: np.random.Generator) -> np.ndarray:
    """Sailing boat, rowing boat, motor boat, tug or steamer."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    kind = ("sail", "row", "motor", "tug", "steamer")[int(rng.integers(5))]
    width, length, depth = u(0.34, 0.5), u(1.0, 1.25), u(0.35, 0.5)
    wood = pick(rng, WOOD)
    pale = solid(tint(rng, wood, 0.15))
    hull = solid(wood if kind == "row" or rng.random() < 0.25 else first)
    rows = [ellipsoid((0, 0, 0), (width, length, depth), hull)]
    if kind == "row":
        rows.append(ellipsoid((0, 0, 0.06), (width * 0.84, length * 0.88, depth * 0.8), pale, op=Operation.SUBTRACT))
    elif rng.random() < 0.6:
        rows.append(box((0, length * 0.95, -depth * 0.3), (width, 0.3, depth), hull, op=Operation.SUBTRACT))
    rows.append(box((0, 0, depth), (2, 2, depth), solid(wood), op=Operation.SUBTRACT))
    rows.append(box((0, 0, -depth * 0.6), (0.05, length * 0.75, depth * 0.5), hull))
    if kind == "sail":
        rows += _sails(rng, length, depth, wood, second, third)
    elif kind == "row":
        for y in (-0.4, 0.1, 0.55):
            rows.append(box((0, y, -0.1), (width * 0.86, 0.09, 0.045), pale))
        oar = (width + u(0.3, 0.55), 0.3, -0.3)
        rows.append(limb((width * 0.7, 0.1, 0.0), oar, 0.045, 0.07, pale, mirror=Mirror.X))
    elif kind == "motor":
        rows.append(prism((0, -0.05, 0.08), 0.3, 0.12, 0.16, width * 0.72, solid(tint(rng, GLASS)), 0.03, PROFILE))
        rows.append(box((0, 0.4, 0.0), (width * 0.5, 0.12, 0.16), solid(third), 0.05))
        rows.append(box((0, length * 0.66, 0.02), (0.12, 0.12, 0.3), solid(TIRE), 0.05))
        rows.append(box((0, 0, -depth * 0.25), (width, length * 0.35, 0.045), solid(second)))
    else:
        rows += _upper_works(rng, kind, width, length, wood, second)
    return to_rows(rows)

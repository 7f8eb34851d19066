"""Tools, standing on their handles: hammer, axe, sword, screwdriver, brush, shovel, magnifying glass, key."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import BLACK, GLASS, METAL, WOOD, colors, maybe_patterned, patterned, pick, solid, tint
from .primitives import box, cone, ellipsoid, limb, prism, ring, rod, rotated, to_rows

FLAT = rotated(x=90)
"""Turn of a disc or ring that faces -Y."""


def tool(rng: np.random.Generator) -> np.ndarray:
    """One of eight hand tools and weapons with its own proportions."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    handle = maybe_patterned(rng, pick(rng, WOOD) if rng.random() < 0.6 else first, second, 0.25)
    steel, grip = solid(pick(rng, METAL)), solid(third)
    kind, long, thick = int(rng.integers(8)), u(0.6, 1.0), u(0.06, 0.1)
    rows = [rod((0, 0, -long), (0, 0, long), thick * 1.15, thick * 0.9, handle)]
    if kind < 2 and rng.random() < 0.5:
        rows.append(rod((0, 0, -long - 0.03), (0, 0, -long * 0.35), thick * 1.4, thick * 1.25, grip, 0.05))
    if kind == 0:
        wide, size = u(0.28, 0.45), u(0.12, 0.2)
        rows.append(rod((-wide * 0.7, 0, long), (wide, 0, long), size * 0.8, size * 0.8, steel))
        rows.append(rod((wide * 0.75, 0, long), (wide + 0.1, 0, long), size * 1.15, size * 1.15, steel))
        if rng.random() < 0.6:
            rows.append(limb((-wide * 0.6, 0, long), (-wide - 0.2, 0, long - u(0.05, 0.2)), size * 0.8, 0.05, steel))
        else:
            rows.append(rod((-wide * 0.75, 0, long), (-wide - 0.1, 0, long), size * 1.15, size * 1.15, steel))
    elif kind == 1:
        edge, out = u(0.3, 0.45), u(0.2, 0.3)
        blade = prism(
            (out + 0.05, 0, long * 0.78),
            0.13,
            edge,
            out,
            0.06,
            steel,
            0.03,
            (0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
            mirror=Mirror.X if rng.random() < 0.4 else 0,
        )
        rows.append(blade)
        rows.append(box((-0.05, 0, long * 0.78), (0.16, 0.11, 0.13), steel))
    elif kind == 2:
        blade, wide = u(0.8, 1.2), u(0.09, 0.16)
        rows = [
            rod((0, 0, -0.45), (0, 0, 0), 0.08, 0.08, handle),
            box((0, 0, 0), (u(0.28, 0.42), 0.08, 0.06), grip, 0.04),
            ellipsoid((0, 0, -0.48), 0.12, grip),
            box((0, 0, blade / 2), (wide, 0.05, blade / 2), steel, 0.03),
            prism((0, 0, blade + 0.12), wide, 0.02, 0.14, 0.05, steel, 0.01),
            box((0, 0, blade * 0.45), (0.035, 0.065, blade * 0.45), solid(pick(rng, METAL))),
        ]
    elif kind == 3:
        fat = u(0.15, 0.2)
        rows = [
            rod(
                (0, 0, -0.7),
                (0, 0, 0),
                fat,
                fat * 0.85,
                patterned(first, second, 1, 4.0, 0) if rng.random() < 0.5 else solid(first),
                0.08,
            ),
            cone((0, 0, 0.04), fat * 0.85, 0.08, 0.09, grip),
            rod((0, 0, 0), (0, 0, long), 0.055, 0.055, steel),
            prism((0, 0, long + 0.08), 0.055, u(0.07, 0.12), 0.12, 0.04, steel, 0.01),
        ]
    elif kind == 4:
        wide = u(0.25, 0.42)
        rows = [
            rod((0, 0, -long), (0, 0, 0), 0.09, 0.13, handle, 0.06),
            prism((0, 0, 0.08), 0.13, wide, 0.12, 0.1, handle, 0.04),
            box((0, 0, 0.24), (wide, 0.12, 0.1), steel, 0.02),
            prism((0, 0, 0.5), wide * 0.95, wide * 0.9, 0.22, 0.09, solid(tint(rng, (0.45, 0.33, 0.22))), 0.03),
            box((0, 0, 0.68), (wide * 0.9, 0.092, u(0.06, 0.12)), grip, 0.03),
        ]
    elif kind == 5:
        wide = u(0.25, 0.36)
        rows.append(box((0, 0, -long - 0.3), (wide, 0.06, 0.34), steel, 0.05))
        rows.append(prism((0, 0, -long - 0.68), 0.04, wide, 0.14, 0.06, steel, 0.02))
        rows.append(
            ellipsoid(
                (0, -0.45, -long - 0.3), (wide * 0.8, 0.42, 0.4), solid(tint(rng, METAL[2])), op=Operation.SUBTRACT
            )
        )
        rows.append(limb((-0.2, 0, long + 0.02), (0.2, 0, long + 0.02), 0.09, 0.09, grip))
    elif kind == 6:
        size = u(0.38, 0.55)
        rows = [
            cone((0, 0, 0), size, size, 0.05, solid(tint(rng, GLASS)), rotation=FLAT),
            ring((0, 0, 0), size, 0.08, steel, rotation=FLAT),
            rod((0, 0, -size + 0.02), (0, 0, -size - 0.2), 0.06, 0.06, steel),
            rod((0, 0, -size - 0.15), (0, 0, -size - long), 0.09, u(0.09, 0.13), handle, 0.05),
        ]
    else:
        size = u(0.25, 0.36)
        metal = solid(pick(rng, METAL) if rng.random() < 0.7 else first)
        rows = [
            cone((0, 0, long * 0.7), size, size, 0.08, metal, 0.04, FLAT),
            cone((0, 0, long * 0.7), size * 0.5, size * 0.5, 0.2, solid(BLACK), 0.0, FLAT, op=Operation.SUBTRACT),
            rod((0, 0, long * 0.7 - size * 0.8), (0, 0, -long), 0.09, 0.09, metal),
        ]
        for z in (0.08, 0.3, 0.48)[: int(rng.integers(2, 4))]:
            rows.append(box((0.15, 0, z - long), (u(0.15, 0.24), 0.06, 0.06), metal))
    return to_rows(rows)

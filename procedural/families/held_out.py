"""Families that no training run sees: teapot, guitar, windmill."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import BLACK, BRICK, GLASS, METAL, ROOF, STONE, WHITE, WOOD, colors, maybe_patterned, pick, solid, tint
from .primitives import box, cone, ellipsoid, limb, prism, ring, rod, rotated, to_rows

FLAT = rotated(x=90)
"""Turn of a disc that faces -Y."""


def teapot(rng: np.random.Generator) -> np.ndarray:
    """Round or conical body, lid with a knob, bent spout on the left, handle on the right."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    body = maybe_patterned(rng, first, second, 0.45)
    trim = solid(third if rng.random() < 0.5 else first)
    girth, height = u(0.55, 0.75), u(0.45, 0.65)
    if rng.random() < 0.75:
        rows = [ellipsoid((0, 0, 0), (girth, girth, height), body)]
        top, lid = height * 0.9, girth * u(0.4, 0.55)
        rows.append(cone((0, 0, -height * 0.9), girth * u(0.55, 0.7), girth * 0.5, 0.1, body))
    else:
        rows, lid = [cone((0, 0, 0), girth, girth * u(0.55, 0.75), height, body, 0.1)], girth * 0.5
        top = height
    rows.append(cone((0, 0, top), lid, lid * 0.9, 0.06, trim, 0.03))
    rows.append(ellipsoid((0, 0, top + 0.04), (lid * 0.85, lid * 0.85, u(0.08, 0.18)), trim))
    rows.append(ellipsoid((0, 0, top + 0.22), u(0.09, 0.13), solid(second)))
    bend, mouth = (-girth - 0.14, 0, u(0.0, 0.12)), (-girth - u(0.3, 0.45), 0, height * u(0.75, 1.0))
    rows.append(limb((-girth * 0.7, 0, -height * 0.35), bend, 0.2, 0.13, body, blend=0.06))
    rows.append(rod((bend[0] + 0.02, 0, bend[2] - 0.06), mouth, 0.13, 0.085, body, 0.02))
    rows.append(
        rod(
            (mouth[0] + 0.04, 0, mouth[2] - 0.12),
            (mouth[0] - 0.06, 0, mouth[2] + 0.12),
            0.05,
            0.05,
            solid(BLACK),
            op=Operation.SUBTRACT,
        )
    )
    grip = height * u(0.6, 0.8)
    rows.append(ring((girth * 0.88, 0, 0.03), grip, u(0.07, 0.1), trim, 112, rotated(x=-90)))
    return to_rows(rows)


def guitar(rng: np.random.Generator) -> np.ndarray:
    """Acoustic or electric guitar standing upright: waisted body, hole or pick-ups, neck, head, pegs."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    wood = solid(pick(rng, WOOD)) if rng.random() < 0.6 else maybe_patterned(rng, first, second, 0.2)
    dark = solid(tint(rng, (0.25, 0.15, 0.1)))
    low, high, deep = u(0.42, 0.52), u(0.32, 0.4), u(0.11, 0.17)
    up, neck, head = low * 0.95, u(0.85, 1.1), 0.2
    rows = [
        cone((0, 0, 0), low, low, deep, wood, 0.03, FLAT),
        cone((0, 0, up), high, high, deep, wood, 0.03, FLAT, blend=0.12),
    ]
    top = up + high
    if rng.random() < 0.6:
        rows.append(cone((0, -deep, up * 0.62), 0.17, 0.17, 0.06, solid(BLACK), 0.0, FLAT, op=Operation.SUBTRACT))
    else:
        rows.append(cone((0.2, 0, top + 0.06), 0.17, 0.17, 0.4, wood, 0.0, FLAT, op=Operation.SUBTRACT))
        rows += [box((0, -deep, up * z), (0.15, 0.03, 0.05), solid(BLACK)) for z in (0.35, 0.75)]
        rows.append(ellipsoid((0.25, -deep, -0.1), 0.05, solid(pick(rng, METAL)), mirror=Mirror.X))
    rows.append(box((0, -deep, -0.12), (0.17, 0.035, 0.05), dark))
    rows.append(box((0, -deep + 0.03, top + neck / 2 - 0.15), (0.075, 0.06, neck / 2 + 0.2), dark))
    rows.append(box((0, -deep + 0.06, top + neck + head * 0.8), (0.12, 0.05, head), wood, 0.03))
    for z in (0.4, 0.85, 1.3):
        rows.append(
            ellipsoid(
                (0.14, -deep + 0.06, top + neck + head * z),
                (0.07, 0.05, 0.05),
                solid(pick(rng, METAL)),
                mirror=Mirror.X,
            )
        )
    if rng.random() < 0.5:
        rows.append(ellipsoid((0.2, -deep, 0.02), (0.13, 0.03, 0.16), solid(third)))
    return to_rows(rows)


def windmill(rng: np.random.Generator) -> np.ndarray:
    """Tapered tower with a cap, four sails that face -Y, door, windows, sometimes a gallery."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    wall = solid(pick(rng, BRICK) if rng.random() < 0.6 else first)
    roof, spar = solid(pick(rng, ROOF)), solid(pick(rng, WOOD))
    cloth = maybe_patterned(rng, tint(rng, WHITE) if rng.random() < 0.5 else second, third, 0.4)
    wide, tall, hub = u(0.4, 0.52), u(0.65, 0.9), u(0.08, 0.12)
    slim = wide * u(0.55, 0.75)
    rows = [cone((0, 0, 0), wide, slim, tall, wall)]
    if rng.random() < 0.5:
        rows.append(ellipsoid((0, 0, tall), (slim * 1.1, slim * 1.15, slim * 0.9), roof))
    else:
        rows.append(cone((0, 0, tall + slim * 0.45), slim * 1.2, 0.03, slim * 0.55, roof))
    z, y = tall + 0.06, -slim - 0.2
    rows.append(rod((0, 0, z), (0, y - 0.04, z), 0.09, 0.07, spar))
    rows.append(ellipsoid((0, y - 0.03, z), (hub, 0.09, hub), spar))
    long, broad, angle = u(0.7, 0.95), u(0.1, 0.15), np.radians(u(0, 90))
    for i in range(4):
        sin, cos = np.sin(angle + i * np.pi / 2), np.cos(angle + i * np.pi / 2)
        rotation = (cos, 0.0, -sin, 0.0, 1.0, 0.0, sin, 0.0, cos)
        rows.append(rod((0, y, z), (long * sin, y, z + long * cos), 0.045, 0.04, spar))
        middle, side = long * 0.6, broad * 0.8
        center = (middle * sin + side * cos, y, z + middle * cos - side * sin)
        rows.append(box(center, (broad, 0.035, long * 0.38), cloth, 0.01, rotation))
    rows.append(box((0, -wide * 0.95, -tall + 0.2), (0.12, 0.08, 0.22), spar))
    rows += [
        box((0, side * (wide + slim) * 0.49, 0.05), (0.08, 0.06, 0.1), solid(tint(rng, GLASS))) for side in (-1, 1)
    ]
    if rng.random() < 0.5:
        rows.append(cone((0, 0, -tall * u(0.2, 0.4)), wide * 1.25, wide * 1.3, 0.05, spar))
    rows.append(prism((0, 0, -tall - 0.04), wide * u(1.2, 1.5), wide * 1.15, 0.07, wide * 1.2, solid(pick(rng, STONE))))
    return to_rows(rows)

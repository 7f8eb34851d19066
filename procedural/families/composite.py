"""Random objects that are nothing in particular: the network must learn surfaces, not a list of names."""

from __future__ import annotations

import math

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import colors, maybe_patterned
from .primitives import (
    SIDEWAYS,
    box,
    cone,
    ellipsoid,
    limb,
    prism,
    ring,
    rod,
    rotated,
    to_rows,
)

DRILLS = (SIDEWAYS, rotated(x=90), rotated())


def _core(rng, size, paint) -> tuple:
    """A primitive around the origin that reaches ``size`` along the axes and holds the ellipsoid of 0.8 of that."""
    a, b, c = size
    kind = int(rng.integers(4))
    if kind == 0:
        return ellipsoid((0, 0, 0), size, paint)
    if kind == 1:
        return box((0, 0, 0), size, paint, rng.uniform(0.01, 0.5) * min(size))
    if kind == 2:
        low, high = sorted((min(a, b), min(a, b) * rng.uniform(0.75, 1.0)), reverse=rng.random() < 0.5)
        return cone((0, 0, 0), low, high, c, paint, rng.uniform(0.01, 0.15))
    return prism((0, 0, 0), a, a * rng.uniform(0.75, 1.0), c, b, paint, rng.uniform(0.01, 0.1))


def _branch(rng, anchor, way, paint, **combination) -> tuple:
    """A primitive that starts inside its parent at ``anchor`` and points along ``way``: its row and its far end."""
    u = rng.uniform
    long, thick = u(0.15, 0.75), u(0.07, 0.28)
    tip = tuple(a + w * long for a, w in zip(anchor, way, strict=True))
    kind = int(rng.integers(5))
    if kind == 0:
        return limb(anchor, tip, thick, u(0.06, thick), paint, **combination), tip
    if kind == 1:
        return rod(anchor, tip, thick, thick * u(0.3, 1.3) + 0.05, paint, u(0.01, 0.06), **combination), tip
    if kind == 2:
        return box(anchor, (u(0.1, 0.4), u(0.1, 0.4), u(0.1, 0.4)), paint, u(0.01, 0.08), **combination), anchor
    if kind == 3:
        radii = (u(0.12, 0.4), u(0.12, 0.4), u(0.12, 0.4))
        return ellipsoid(anchor, radii, paint, rotated(*u(-40, 40, 3)), **combination), anchor
    major = u(0.18, 0.35)
    return ring(anchor, major + 0.05, u(0.06, 0.1), paint, rotation=rotated(*u(0, 90, 3)), **combination), None


def composite(rng: np.random.Generator) -> np.ndarray:
    """1 to 9 primitives: a core, drilled in about 30 % of cases, with branches in mirrored pairs or around z."""
    u = rng.uniform
    paints = [maybe_patterned(rng, *pair, 0.3) for pair in zip(colors(rng, 3), colors(rng, 3), strict=True)]
    size = (u(0.25, 0.8), u(0.25, 0.8), u(0.25, 0.9))
    rows, drilled = [_core(rng, size, paints[0])], None
    if rng.random() < 0.3:
        drilled = int(rng.integers(3))
        narrow = min(s for i, s in enumerate(size) if i != drilled)
        hole = narrow * u(0.25, 0.5)
        center = [0.0, 0.0, 0.0]
        if rng.random() < 0.5:
            center[drilled] = size[drilled] * u(0.6, 1.0) * (1 if rng.random() < 0.7 else -1)
        half = size[drilled] * (1.3 if not any(center) else 0.6)
        if rng.random() < 0.5:
            rows.append(cone(tuple(center), hole, hole, half, paints[1], 0.01, DRILLS[drilled], op=Operation.SUBTRACT))
        else:
            rows.append(
                ellipsoid(tuple(center), hole, paints[1], op=Operation.SUBTRACT)
                if any(center)
                else box(
                    (0, 0, 0), tuple(half if i == drilled else hole for i in range(3)), paints[1], op=Operation.SUBTRACT
                )
            )
    mirrors = (Mirror.X, Mirror.X, Mirror.X, 0, Mirror.Y, Mirror.XY)
    for _ in range(int(rng.integers(0, 8))):
        way = rng.normal(size=3)
        if drilled is not None:
            way[drilled] *= 0.25
        way /= np.linalg.norm(way)
        combination = {"blend": u(0.03, 0.15)} if rng.random() < 0.3 else {}
        paint = paints[int(rng.integers(3))]
        if rng.random() < 0.2:
            flat = math.hypot(way[0], way[1])
            way = np.array([flat, 0.0, way[2]])
            anchor = (0.75 * min(size[0], size[1]) * way[0], 0.0, 0.75 * size[2] * way[2])
            row, _ = _branch(rng, anchor, tuple(way), paint, repeat=int(rng.integers(2, 7)), **combination)
            rows.append(row)
            continue
        mirror = mirrors[int(rng.integers(len(mirrors)))]
        if mirror & Mirror.X:
            way[0] = abs(way[0])
        if mirror & Mirror.Y:
            way[1] = abs(way[1])
        if not mirror and rng.random() < 0.6:
            way[0] = 0.0
        anchor = tuple(
            0.75 * min(s, min(size[0], size[1])) * w if i < 2 else 0.75 * s * w
            for i, (s, w) in enumerate(zip(size, way, strict=True))
        )
        row, tip = _branch(rng, anchor, tuple(way), paint, mirror=mirror, **combination)
        rows.append(row)
        if tip is not None and len(rows) < 9 and rng.random() < 0.3:
            rows.append(ellipsoid(tip, u(0.1, 0.22), paints[int(rng.integers(3))], mirror=mirror))
    return to_rows(rows[:9])

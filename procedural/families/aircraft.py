"""Aircraft: airplane, helicopter, rocket; the nose is on -Y, a rocket stands upright."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation

from .materials import BLACK, GLASS, METAL, TIRE, WOOD, colors, maybe_patterned, pick, solid, tint
from .primitives import FIN, box, cone, ellipsoid, limb, prism, rod, rotated, to_rows, wing

FORWARD = rotated(x=90)
"""Turn of a cone whose top points to -Y."""


def airplane(rng: np.random.Generator) -> np.ndarray:
    """Jet liner, propeller plane or biplane."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    if rng.random() < 0.35:
        first = tint(rng, (0.85, 0.86, 0.88))
    body, fin = maybe_patterned(rng, first, second, 0.15), solid(second if rng.random() < 0.7 else first)
    kind = int(rng.integers(3))
    girth, length = (u(0.14, 0.2), u(0.95, 1.2)) if kind == 0 else (u(0.18, 0.25), u(0.75, 0.95))
    sweep = u(15, 35) if kind == 0 else u(0, 6)
    span, chord = u(0.9, 1.2), u(0.2, 0.32)
    rows = [
        limb((0, -length * 0.75, 0), (0, length * 0.35, 0), girth, girth, body, blend=0.03),
        limb((0, length * 0.3, 0), (0, length, girth * 0.6), girth, girth * 0.35, body),
    ]
    z = u(-0.6, 0.3) * girth
    shape = (chord, chord * u(0.4, 0.75), span / 2, 0.045)
    angle = np.radians(sweep)
    center = (0.04 + span / 2 * np.cos(angle), -0.12 + span / 2 * np.sin(angle), z)
    wings = maybe_patterned(rng, second, first, 0.25) if rng.random() < 0.5 else solid(first)
    rows.append(prism(center, *shape, wings, 0.03, wing(sweep), mirror=Mirror.X))
    if kind == 2:
        rows.append(prism((center[0], center[1], z + 0.5), *shape, wings, 0.03, wing(sweep), mirror=Mirror.X))
        rows.append(
            rod((span * 0.6, -0.12, z), (span * 0.6, -0.12, z + 0.5), 0.04, 0.04, solid(third), mirror=Mirror.X)
        )
        rows.append(rod((girth * 0.5, -0.12, z), (girth, -0.12, z + 0.5), 0.04, 0.04, solid(third), mirror=Mirror.X))
    tail = u(0.36, 0.48)
    rows.append(
        prism(
            (0.02 + tail / 2, length * 0.93, girth * 0.6),
            0.15,
            0.09,
            tail / 2,
            0.04,
            fin,
            0.02,
            wing(sweep * 0.8),
            mirror=Mirror.X,
        )
    )
    rows.append(prism((0, length * 0.95, girth * 0.6 + 0.2), 0.19, 0.1, u(0.2, 0.3), 0.04, fin, 0.02, FIN))
    if kind == 0:
        rows.append(
            ellipsoid(
                (0, -length * 0.75 - girth * 0.45, girth * 0.5), (girth * 0.7, girth * 0.5, girth * 0.35), solid(BLACK)
            )
        )
        x = span * u(0.35, 0.45)
        engine = (x, center[1] - span * 0.15, z - 0.13)
        rows.append(cone(engine, 0.085, 0.11, 0.17, solid(third), 0.03, FORWARD, mirror=Mirror.X))
        rows.append(
            cone(
                (engine[0], engine[1] - 0.17, engine[2]),
                0.07,
                0.08,
                0.06,
                solid(BLACK),
                0.0,
                FORWARD,
                op=Operation.SUBTRACT,
                mirror=Mirror.X,
            )
        )
        rows.append(
            box(
                (0, -0.1, girth * 0.3),
                (girth + 0.008, length * 0.55, 0.03),
                maybe_patterned(rng, (0.2, 0.25, 0.3), third, 0.4),
            )
        )
    else:
        nose = -length * 0.75 - girth
        rows.append(rod((0, nose + girth * 0.7, 0), (0, nose - 0.08, 0), girth * 0.9, girth * 0.5, solid(third), 0.04))
        blade = rotated(y=u(0, 90))
        rows.append(box((0, nose - 0.08, 0), (u(0.36, 0.48), 0.035, 0.06), solid(pick(rng, WOOD)), 0.03, blade))
        rows.append(ellipsoid((0, nose - 0.1, 0), 0.08, solid(pick(rng, METAL))))
        rows.append(ellipsoid((0, -0.05, girth * 0.9), (girth * 0.7, 0.24, girth * 0.7), solid(tint(rng, GLASS))))
        rows.append(
            rod(
                (0.05, -0.3, -girth * 0.5),
                (0.24, -0.34, -girth - 0.2),
                0.04,
                0.035,
                solid(pick(rng, METAL)),
                mirror=Mirror.X,
            )
        )
        rows.append(
            cone((0.26, -0.34, -girth - 0.22), 0.11, 0.11, 0.05, solid(TIRE), 0.03, rotated(y=90), mirror=Mirror.X)
        )
    return to_rows(rows)


def helicopter(rng: np.random.Generator) -> np.ndarray:
    """Cabin with a glass nose, tail boom with a small rotor, big rotor, skids."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    paint, metal = maybe_patterned(rng, first, second, 0.2), solid(pick(rng, METAL))
    girth, length, tail = u(0.32, 0.42), u(0.48, 0.62), u(0.9, 1.2)
    top = girth + u(0.14, 0.24)
    rows = [
        ellipsoid((0, 0, 0), (girth, length, girth), paint),
        ellipsoid((0, -length * 0.22, 0.05), (girth * 0.93, length * 0.82, girth * 0.9), solid(tint(rng, GLASS))),
        box((0, 0.15, -girth * 0.45), (girth * 0.75, length * 0.75, girth * 0.4), paint, 0.12),
        limb((0, length * 0.5, 0.08), (0, length * 0.6 + tail, 0.14), girth * 0.42, 0.07, paint, blend=0.08),
        prism((0, length * 0.6 + tail, 0.3), 0.14, 0.09, 0.24, 0.045, solid(second), 0.02, FIN),
        box((0.08, length * 0.6 + tail, 0.32), (0.035, 0.045, u(0.2, 0.28)), metal, 0.02, rotated(x=u(0, 90))),
        rod((0, 0, girth * 0.6), (0, 0, top), 0.07, 0.05, metal),
        box((u(0.5, 0.6), 0, top), (0.62, 0.07, 0.035), solid(third), 0.02, repeat=int(rng.integers(2, 5))),
        ellipsoid((0, 0, top), (0.1, 0.1, 0.07), metal),
        limb(
            (girth * 0.8, -length * 0.8, -girth - 0.16),
            (girth * 0.8, length * 0.8, -girth - 0.16),
            0.045,
            0.045,
            metal,
            mirror=Mirror.X,
        ),
    ]
    for y in (-0.3, 0.3):
        rows.append(
            rod((girth * 0.5, y, -girth * 0.6), (girth * 0.8, y, -girth - 0.16), 0.045, 0.04, metal, mirror=Mirror.X)
        )
    return to_rows(rows)


def rocket(rng: np.random.Generator) -> np.ndarray:
    """Upright rocket: body, nose, fins, portholes, nozzle, sometimes boosters."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    if rng.random() < 0.4:
        first = tint(rng, (0.86, 0.86, 0.88))
    paint, trim = maybe_patterned(rng, first, second, 0.3), solid(second)
    girth, height = u(0.24, 0.42), u(0.7, 1.15)
    count = int(rng.integers(3, 5))
    if rng.random() < 0.45:
        rows = [
            ellipsoid((0, 0, 0), (girth * 1.15, girth * 1.15, height * 1.35), paint),
            ellipsoid((0, 0, height * 0.98), (girth * 0.72, girth * 0.72, height * 0.42), trim),
        ]
        rows.append(box((0, 0, -height - 0.6), (1, 1, 0.5), trim, op=Operation.SUBTRACT))
        bulge = 1.1
    else:
        rows = [
            cone((0, 0, 0), girth, girth * u(0.85, 1.0), height, paint),
            limb((0, 0, height), (0, 0, height + u(0.35, 0.6)), girth * 0.97, 0.05, trim),
        ]
        bulge = 0.95
    rows.append(cone((0, 0, -height - 0.1), girth * 0.85, girth * 0.5, 0.14, solid(pick(rng, METAL)), 0.02))
    out, fin = u(0.28, 0.5), u(0.35, 0.6)
    # local x points down the body, local z outwards: a fin that narrows to its tip and leans back
    lean = np.radians(u(10, 35))
    rotation = (np.sin(lean) * 0.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    rows.append(
        prism(
            (girth * 0.55 + out / 2 + 0.05, 0, -height + fin * 0.35),
            fin * 0.6,
            fin * 0.3,
            out / 2 + 0.1,
            0.05,
            solid(third),
            0.02,
            rotation,
            repeat=count,
        )
    )
    rows.append(
        box(
            (girth * 0.6 + out + 0.05, 0, -height + fin * 0.05 - 0.06),
            (0.07, 0.05, fin * 0.5),
            solid(third),
            repeat=count,
        )
    )
    for z in (0.35, -0.1)[: int(rng.integers(1, 3))]:
        rows.append(cone((0, -girth * bulge, height * z), 0.13, 0.13, 0.06, solid(pick(rng, METAL)), rotation=FORWARD))
        rows.append(ellipsoid((0, -girth * bulge - 0.04, height * z), (0.09, 0.06, 0.09), solid(GLASS)))
    if rng.random() < 0.25:
        rows.append(cone((girth + 0.1, 0, -height * 0.4), 0.13, 0.13, height * 0.5, solid(second), repeat=count))
        rows.append(
            limb(
                (girth + 0.1, 0, height * 0.1),
                (girth + 0.1, 0, height * 0.1 + 0.2),
                0.13,
                0.04,
                solid(third),
                repeat=count,
            )
        )
    return to_rows(rows)

"""Birds and fish that face -Y."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror

from .materials import BLACK, FUR, ORANGE, WHITE, colors, maybe_patterned, natural, pick, solid, tint
from .primitives import BACKWARD, FIN, cone, ellipsoid, limb, prism, ring, rod, rotated, to_rows, wing


def bird(rng: np.random.Generator) -> np.ndarray:
    """Duck, song bird, owl, penguin, hen or a wader on long legs."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    kind = ("duck", "song", "owl", "penguin", "hen", "wader")[int(rng.integers(6))]
    if kind == "penguin":
        first, second = tint(rng, (0.14, 0.15, 0.2)), tint(rng, WHITE)
    elif rng.random() < 0.4:
        first, second = pick(rng, FUR), pick(rng, FUR)
    coat, beak = natural(rng, first, 0.3), solid(tint(rng, ORANGE, 0.08))
    if kind in ("owl", "penguin"):
        girth, height = u(0.42, 0.52), u(0.65, 0.9)
        rows = [
            ellipsoid((0, 0, 0), (girth, girth * 0.95, height), coat),
            ellipsoid(
                (0, -girth * 0.2, -height * 0.1),
                (girth * 0.78, girth * 0.84, height * 0.8),
                maybe_patterned(rng, second, first, 0.3),
            ),
        ]
        head, fy, fz = girth * u(0.75, 0.95), -0.03, height * 0.92
        rows.append(
            limb(
                (girth * 0.85, 0, height * 0.35), (girth * 1.15, 0.05, -height * 0.5), 0.14, 0.07, coat, mirror=Mirror.X
            )
        )
        rows.append(ellipsoid((girth * 0.42, -girth * 0.5, -height * 0.95), (0.17, 0.26, 0.08), beak, mirror=Mirror.X))
        rows.append(ellipsoid((0, fy, fz), head, coat, blend=0.05))
        if kind == "owl":
            rows.append(
                rod(
                    (head * 0.55, fy, fz + head * 0.6),
                    (head * 0.8, fy, fz + head * 1.3),
                    head * 0.25,
                    0.03,
                    coat,
                    mirror=Mirror.X,
                )
            )
            rows.append(
                cone(
                    (head * 0.42, fy - head * 0.8, fz + 0.05),
                    head * 0.4,
                    head * 0.4,
                    0.08,
                    solid(tint(rng, WHITE)),
                    rotation=rotated(x=90),
                    mirror=Mirror.X,
                )
            )
        else:
            rows.append(ellipsoid((0, girth * 0.7, -height * 0.85), (0.2, 0.3, 0.1), coat))
    else:
        girth, length = u(0.34, 0.46), u(0.6, 0.8)
        rise = {"duck": u(0.45, 0.7), "song": u(0.3, 0.4), "hen": u(0.55, 0.7), "wader": u(0.8, 1.2)}[kind]
        head, fy, fz = girth * (0.45 if kind == "wader" else u(0.58, 0.75)), -length * u(0.75, 0.95), rise
        rows = [
            ellipsoid((0, 0, 0), (girth, length, girth * u(0.85, 1.0)), coat, rotated(x=-u(0, 15))),
            limb(
                (0, -length * 0.55, 0.1),
                (0, fy, fz),
                girth * (0.3 if kind == "wader" else 0.6),
                head * 0.6,
                coat,
                blend=0.12,
            ),
            ellipsoid((0, fy, fz), head, solid(third) if kind == "duck" and rng.random() < 0.5 else coat, blend=0.05),
            ellipsoid(
                (girth * 0.88, 0.08, 0.1),
                (0.09, length * 0.65, girth * 0.55),
                maybe_patterned(rng, second, first, 0.4),
                rotated(x=-12),
                mirror=Mirror.X,
            ),
        ]
        if kind == "hen":
            rows.append(prism((0, length * 0.9, 0.3), 0.2, 0.4, 0.35, 0.07, solid(second), rotation=FIN))
            rows.append(
                ellipsoid((0, fy, fz + head), (0.06, head * 0.7, head * 0.4), solid(tint(rng, (0.8, 0.12, 0.1))))
            )
            rows.append(
                ellipsoid((0, fy - head, fz - head * 0.8), (0.06, 0.08, 0.13), solid(tint(rng, (0.8, 0.12, 0.1))))
            )
        else:
            rows.append(
                prism(
                    (0, length * 1.1, 0.12),
                    0.12,
                    0.24,
                    u(0.2, 0.4),
                    0.06,
                    solid(second),
                    rotation=(1.0, 0, 0, 0, 0.25, -0.968, 0, 0.968, 0.25),
                )
            )
        legs = u(0.8, 1.2) if kind == "wader" else u(0.25, 0.4)
        if kind != "duck" or rng.random() < 0.5:
            rows.append(
                limb((0.16, 0, -girth * 0.6), (0.16, 0.03, -girth * 0.8 - legs), 0.06, 0.05, beak, mirror=Mirror.X)
            )
            rows.append(ellipsoid((0.17, -0.08, -girth * 0.8 - legs), (0.13, 0.2, 0.055), beak, mirror=Mirror.X))
    if kind == "duck":
        rows.append(ellipsoid((0, fy - head * 1.1, fz - 0.06), (head * 0.5, head * 0.6, head * 0.22), beak))
    else:
        out = head * (1.9 if kind == "wader" else u(0.5, 0.8))
        rows.append(rod((0, fy - head * 0.8, fz), (0, fy - head - out, fz - 0.05), head * 0.3, 0.03, beak))
    rows.append(ellipsoid((head * 0.45, fy - head * 0.8, fz + head * 0.3), head * 0.17, solid(BLACK), mirror=Mirror.X))
    return to_rows(rows)


def fish(rng: np.random.Generator) -> np.ndarray:
    """Fish, shark or whale."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    kind = rng.random()
    if kind < 0.25:
        first, second, third = (
            tint(rng, (0.4, 0.48, 0.56), 0.1),
            tint(rng, (0.85, 0.87, 0.88)),
            tint(rng, (0.4, 0.48, 0.56)),
        )
    length, height = u(0.9, 1.1), u(0.28, 0.4) if kind < 0.25 else u(0.4, 0.75)
    width = height * (u(0.85, 1.1) if kind < 0.45 else u(0.4, 0.65))
    scales = maybe_patterned(rng, first, second, 0.0 if kind < 0.45 else 0.7)
    fin, root = solid(third), length * 0.9
    rows = [
        ellipsoid((0, 0, 0), (width, length, height), scales),
        rod((0, length * 0.5, 0), (0, length * 1.15, 0.03), width * 0.55, 0.1, solid(first), blend=0.12),
    ]
    if kind < 0.45:
        rows.append(ellipsoid((0, -0.06, -height * 0.25), (width * 0.93, length * 0.9, height * 0.8), solid(second)))
    if 0.25 <= kind < 0.45:
        rows.append(
            prism((u(0.2, 0.25), root + 0.3, 0.04), 0.14, 0.2, 0.28, 0.06, fin, rotation=wing(35), mirror=Mirror.X)
        )
        if rng.random() < 0.5:
            rows.append(limb((0, -0.2, height * 0.9), (0, -0.2, height * 1.5), 0.05, 0.12, solid((0.6, 0.8, 0.92))))
    else:
        spread = u(0.28, 0.5)
        rows.append(prism((0, root + 0.3, 0.03), 0.07, spread, u(0.2, 0.3), 0.055, fin, 0.03, BACKWARD))
        rows.append(
            prism((0, u(-0.1, 0.15), height + 0.1), u(0.25, 0.5), u(0.08, 0.25), u(0.16, 0.28), 0.055, fin, 0.02, FIN)
        )
        if rng.random() < 0.6:
            rows.append(prism((0, 0.3, -height - 0.02), 0.12, 0.2, 0.14, 0.055, fin, 0.02, FIN))
    rows.append(
        ellipsoid(
            (width * 0.95 + 0.1, -length * 0.25, -height * 0.25),
            (0.24, 0.15, 0.06),
            fin,
            rotated(0, 30, 30),
            mirror=Mirror.X,
        )
    )
    eye = (width * 0.66, -length * 0.62, height * 0.24)
    rows.append(ellipsoid(eye, 0.11, solid(WHITE), mirror=Mirror.X))
    rows.append(ellipsoid((eye[0] + 0.05, eye[1] - 0.035, eye[2] + 0.01), 0.075, solid(BLACK), mirror=Mirror.X))
    if kind > 0.45 and rng.random() < 0.6:
        rows.append(
            ring(
                (0, -length * 0.97, -height * 0.03),
                0.1,
                0.05,
                solid(tint(rng, (0.85, 0.4, 0.35))),
                rotation=rotated(x=90),
            )
        )
    return to_rows(rows)

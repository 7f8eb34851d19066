"""Things to eat: cakes and ices, burgers and fruit."""

from __future__ import annotations

import numpy as np

from .parts import CARVE, box, cone, ellipsoid, limb, prism, ring, rod, scene, turned
from .skins import (
    CHECKS,
    DOTS,
    LEAF,
    METAL,
    NOISE,
    RED,
    STRIPES,
    WHITE,
    WOOD,
    YELLOW,
    colours,
    of,
    painted,
    plain,
    shaded,
    skin,
    tint,
)

BREAD, CHOCOLATE = (0.82, 0.58, 0.3), (0.3, 0.17, 0.1)


def sweet(rng: np.random.Generator) -> np.ndarray:
    """Cupcake, ice-cream cone, sundae, layered cake, doughnut or lolly."""
    u = rng.uniform
    first, second, third = colours(rng, 3)
    cream = plain(first) if rng.random() < 0.6 else skin(first, second, DOTS, u(3, 5))
    cherry, kind = plain(tint(rng, RED)), int(rng.integers(6))
    wide = u(0.42, 0.55)
    if kind == 0:
        rows = [
            cone(
                (0, 0, 0),
                wide * 0.7,
                wide,
                u(0.25, 0.35),
                skin(second, third, STRIPES, u(3, 5), 0) if rng.random() < 0.6 else plain(second),
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
        waffle = skin(BREAD, tint(rng, (0.6, 0.38, 0.16)), CHECKS, u(4, 6))
        rows, z = (
            [cone((0, 0, -0.55), 0.05, wide * 0.75, 0.65, waffle), ring((0, 0, 0.1), wide * 0.74, 0.07, plain(BREAD))],
            0.25,
        )
        for i in range(int(rng.integers(1, 4))):
            size = wide * (0.85 - 0.12 * i)
            rows.append(ellipsoid((0, 0, z), size, (cream, plain(second), plain(third))[i]))
            z += size * 1.15
        if rng.random() < 0.5:
            rows.append(ellipsoid((0, 0, z - 0.08), 0.12, cherry))
        if rng.random() < 0.4:
            rows.append(rod((wide * 0.3, 0, 0.25), (wide * 0.75, 0, 1.0), 0.06, 0.06, plain(BREAD)))
    elif kind == 2:
        rows = [
            cone((0, 0, 0), wide * 0.35, wide, 0.32, plain(tint(rng, (0.65, 0.78, 0.85)))),
            rod((0, 0, -0.28), (0, 0, -0.6), 0.08, 0.08, plain((0.65, 0.78, 0.85))),
        ]
        rows += [
            cone((0, 0, -0.6), wide * 0.8, wide * 0.6, 0.06, plain((0.65, 0.78, 0.85))),
            ellipsoid((0.2, 0.05, 0.42), 0.3, cream),
            ellipsoid((-0.2, 0.05, 0.42), 0.3, plain(second)),
        ]
        rows += [ellipsoid((0, -0.05, 0.62), 0.28, plain(third)), ellipsoid((0, -0.05, 0.95), 0.11, cherry)]
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
                    plain(tint(rng, BREAD if rng.random() < 0.4 else CHOCOLATE) if rng.random() < 0.5 else second),
                )
            )
            z += 2 * tall
            rows.append(cone((0, 0, z), wide + 0.03, wide + 0.01, 0.07, cream, 0.05))
            top, wide = wide, wide * u(0.6, 0.8)
        rows.append(ellipsoid((top * 0.75, 0, z + 0.1), 0.1, cherry, repeat=int(rng.integers(4, 8))))
        if rng.random() < 0.6:
            rows += [
                rod((0, 0, z), (0, 0, z + 0.42), 0.05, 0.05, skin(WHITE, third, STRIPES, 6.0)),
                ellipsoid((0, 0, z + 0.48), (0.055, 0.055, 0.1), plain(YELLOW)),
            ]
        if rng.random() < 0.3:
            rows.append(
                prism(
                    (0, -1.0, z / 2),
                    0.0,
                    0.55,
                    0.55,
                    z,
                    plain(tint(rng, BREAD)),
                    0.0,
                    (1.0, 0, 0, 0, 0, 1.0, 0, -1.0, 0),
                    op=CARVE,
                )
            )
        rows.append(cone((0, 0, -0.03), 1.0, 1.02, 0.05, plain(of(rng, METAL)), 0.04))
    elif kind == 4:
        fat = u(0.22, 0.34)
        lean = turned(x=u(40, 75)) if rng.random() < 0.5 else turned(x=8)
        up = (lean[6], lean[7], lean[8])
        icing = skin(first, third, DOTS, u(3.5, 5)) if rng.random() < 0.6 else cream
        rows = [
            ring((0, 0, 0), 0.55, fat, plain(tint(rng, BREAD)), turn=lean),
            ring(tuple(0.07 * v for v in up), 0.55, fat * 0.97, icing, turn=lean),
        ]
    else:
        tall = u(0.5, 0.75)
        rows = [rod((0, 0, -tall - 0.55), (0, 0, 0), 0.07, 0.07, plain(tint(rng, WOOD[4])))]
        if rng.random() < 0.5:
            rows += [
                box((0, 0, 0), (0.36, 0.17, tall), cream, 0.15),
                box((0, 0, tall * 0.6), (0.37, 0.18, tall * 0.42), plain(second), 0.16),
            ]
        else:
            rows.append(
                cone(
                    (0, 0, 0.1),
                    0.5,
                    0.5,
                    0.12,
                    skin(first, second, int(rng.integers(1, 6)), u(1.5, 3)),
                    0.06,
                    turned(x=90),
                )
            )
    return scene(rows)


def meal(rng: np.random.Generator) -> np.ndarray:
    """Burger, apple, pear, pumpkin, pineapple, carrot or a bowl of fruit."""
    u = rng.uniform
    first, second, third = colours(rng, 3)
    leaf, kind = plain(of(rng, LEAF)), int(rng.integers(7))
    twig = plain(of(rng, WOOD))
    if kind == 0:
        bread = tint(rng, BREAD)
        wide, z = u(0.7, 0.85), 0.17
        rows = [
            ellipsoid((0, 0, 0.35), (wide, wide, u(0.4, 0.6)), skin(bread, (0.93, 0.88, 0.7), DOTS, 3.5)),
            box((0, 0, -0.8), (2, 2, 1.1), plain(bread), op=CARVE),
        ]
        for colour, size, half in (
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
                    plain(tint(rng, colour)),
                    0.05,
                )
            )
            z -= 2 * half
        rows.append(cone((0, 0, z - 0.05), wide * 0.9, wide, 0.18, plain(bread), 0.1))
    elif kind in (1, 2):
        skins = (RED, (0.75, 0.8, 0.25), (0.9, 0.75, 0.2))[int(rng.integers(3))]
        peel, size = shaded(rng, tint(rng, skins), 0.5), u(0.5, 0.6)
        if kind == 1:
            rows = [
                ellipsoid((0, 0, 0), (size, size, size * u(0.85, 0.98)), peel),
                ellipsoid((0, 0, size * 1.05), (0.22, 0.22, 0.3), peel, op=CARVE, blend=0.1),
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
            rows.append(ellipsoid((0.24, 0, top + 0.16), (0.24, 0.1, 0.045), leaf, turned(y=-20)))
        if kind == 1 and rng.random() < 0.25:
            rows.append(ellipsoid((size, -0.1, 0.05), 0.26, plain((0.93, 0.89, 0.7)), op=CARVE))
    elif kind == 3:
        orange, count = tint(rng, (0.9, 0.48, 0.12)), int(rng.integers(7, 10))
        rows = [
            ellipsoid((0.32, 0, 0), (0.36, 0.3, u(0.42, 0.55)), plain(orange), repeat=count),
            ellipsoid((0, 0, 0), (0.4, 0.4, 0.38), plain(orange)),
        ]
        rows.append(limb((0, 0, 0.3), (0.08, 0, 0.7), 0.1, 0.07, leaf))
        if rng.random() < 0.5:
            rows.append(prism((0.22, -0.6, 0.12), 0.11, 0.0, 0.09, 0.16, plain((0.2, 0.1, 0.05)), 0.0, op=CARVE))
            rows.append(prism((-0.22, -0.6, 0.12), 0.11, 0.0, 0.09, 0.16, plain((0.2, 0.1, 0.05)), 0.0, op=CARVE))
            rows.append(box((0, -0.62, -0.16), (0.3, 0.16, 0.07), plain((0.2, 0.1, 0.05)), op=CARVE))
    elif kind == 4:
        rows = [
            ellipsoid(
                (0, 0, 0), (0.45, 0.45, u(0.6, 0.75)), skin(tint(rng, (0.85, 0.6, 0.2)), (0.55, 0.33, 0.1), CHECKS, 2.5)
            )
        ]
        rows += [
            ellipsoid((out, 0, z), (0.32, 0.1, 0.05), leaf, turned(y=-steep), repeat=n)
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
                skin(tint(rng, (0.93, 0.5, 0.13)), (0.8, 0.4, 0.1), STRIPES, 3.0),
            )
        ]
        rows += [
            limb((0, 0, 0.2), (x, y, u(0.6, 0.9)), 0.06, 0.08, leaf)
            for x, y in ((-0.25, 0), (0.22, 0.1), (0, -0.15), (0.05, 0.2))
        ]
    else:
        rows = [
            ellipsoid((0, 0, 0), (0.8, 0.8, 0.55), painted(rng, first, second, 0.5)),
            box((0, 0, 1), (2, 2, 1), plain(third), op=CARVE),
        ]
        rows += [
            ellipsoid((0, 0, 0.06), (0.7, 0.7, 0.45), plain(third), op=CARVE),
            cone((0, 0, -0.52), 0.42, 0.35, 0.1, plain(first)),
        ]
        for angle, colour in zip((0.3, 2.4, 4.4), (RED, LEAF[3], (0.93, 0.55, 0.15)), strict=True):
            rows.append(
                ellipsoid((0.33 * np.cos(angle), 0.33 * np.sin(angle), 0.0), u(0.27, 0.33), plain(tint(rng, colour)))
            )
        rows.append(ellipsoid((0, 0, 0.2), 0.28, skin(tint(rng, YELLOW), tint(rng, RED), NOISE, 1.0)))
    return scene(rows)

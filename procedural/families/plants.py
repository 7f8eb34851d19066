"""Tree, mushroom, potted plant."""

from __future__ import annotations

import numpy as np

from procedural.schema import Operation, Pattern

from .materials import (
    AUTUMN,
    LEAF,
    RED,
    STONE,
    WHITE,
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
from .primitives import cone, ellipsoid, limb, rod, rotated, to_rows


def tree(rng: np.random.Generator) -> np.ndarray:
    """Broad-leaved tree of several crowns, conifer, palm or poplar."""
    u = rng.uniform
    bark, leaf = pick(rng, WOOD), pick(rng, AUTUMN) if rng.random() < 0.2 else pick(rng, LEAF)
    trunk, kind = solid(bark), (0, 0, 1, 1, 2, 3)[int(rng.integers(6))]
    if kind == 2:
        leaf = pick(rng, LEAF)
    thick, tall = u(0.09, 0.17), u(0.5, 0.9)
    crown = natural(rng, leaf, 0.6)
    if kind == 0 and rng.random() < 0.3:
        crown = patterned(leaf, (tint(rng, RED), YELLOW)[int(rng.integers(2))], Pattern.DOTS, u(2.5, 3.5))
    if kind == 0:
        size = u(0.4, 0.6)
        rows = [
            rod((0, 0, -tall), (0, 0, tall), thick * 1.4, thick * 0.8, trunk),
            ellipsoid((0, 0, tall + size * 0.2), (size, size, size * u(0.8, 1.1)), crown),
        ]
        for _ in range(int(rng.integers(2, 6))):
            angle, reach = u(0, 2 * np.pi), size * u(0.7, 1.0)
            small = size * u(0.5, 0.8)
            center = (reach * np.cos(angle), reach * np.sin(angle), tall + u(-0.35, 0.5) * size)
            rows.append(ellipsoid(center, (small, small, small * 0.85), crown))
            if rng.random() < 0.5:
                rows.append(limb((0, 0, tall * 0.2), center, thick * 0.6, thick * 0.45, trunk))
    elif kind == 1:
        count, width = int(rng.integers(2, 6)), u(0.5, 0.75)
        rows, z, step = [rod((0, 0, -0.35), (0, 0, 0.3), thick, thick * 0.8, trunk)], 0.15, u(0.28, 0.42)
        for i in range(count):
            wide = width * (1 - 0.75 * i / count)
            rows.append(
                cone((0, 0, z + step * 0.5), wide, 0.03 if i == count - 1 else wide * 0.3, step * 0.75, crown, 0.02)
            )
            z += step * u(0.85, 1.05)
        if rng.random() < 0.2:
            rows.append(ellipsoid((0, 0, z + step * 0.35), 0.12, solid(YELLOW)))
    elif kind == 2:
        bend, high = u(-0.3, 0.3), tall * 1.8
        knee, count = (bend * 0.3, 0, high * 0.5), int(rng.integers(5, 8))
        # the trunk bows out and comes back, for the fronds repeat around the z axis
        rows = [
            limb((bend, 0, -0.1), knee, thick * 1.1, thick * 0.8, trunk),
            limb(knee, (0, 0, high), thick * 0.8, thick * 0.65, trunk),
        ]
        long = u(0.38, 0.5)
        rows.append(
            ellipsoid(
                (long * 0.85, 0, high + 0.1), (long, u(0.12, 0.17), 0.055), crown, rotated(y=u(0, 15)), repeat=count
            )
        )
        rows.append(
            ellipsoid((long * 1.9, 0, high - 0.1), (long * 0.6, 0.12, 0.05), crown, rotated(y=45), repeat=count)
        )
        rows.append(ellipsoid((0, 0, high + 0.04), 0.15, crown))
        rows.append(ellipsoid((0.12, 0, high - 0.12), 0.1, solid(tint(rng, (0.45, 0.28, 0.12))), repeat=3))
    else:
        rows = [
            rod((0, 0, -tall), (0, 0, 0), thick, thick, trunk),
            ellipsoid((0, 0, 0.45), (u(0.3, 0.45), u(0.3, 0.45), u(0.75, 1.05)), crown),
            ellipsoid((0, 0, 0.1), (u(0.4, 0.5), u(0.4, 0.5), u(0.35, 0.5)), crown, blend=0.1),
            ellipsoid((u(0.12, 0.22), u(-0.1, 0.1), u(0.4, 0.7)), (0.26, 0.26, u(0.35, 0.5)), crown, blend=0.05),
        ]
    if rng.random() < 0.35:
        low = min(row[8] - row[3] for row in rows)
        rows.append(ellipsoid((0, 0, low + 0.02), (u(0.4, 0.6), u(0.4, 0.6), 0.09), solid(pick(rng, LEAF))))
    return to_rows(rows)


def mushroom(rng: np.random.Generator) -> np.ndarray:
    """One to three mushrooms with round or flat caps, spots and a ring round the stem."""
    u = rng.uniform
    first, second, _ = colors(rng, 3)
    top = tint(rng, RED) if rng.random() < 0.35 else first
    pale = tint(rng, (0.88, 0.84, 0.75))
    stalk = solid(pale) if rng.random() < 0.7 else maybe_patterned(rng, second, pale, 0.3)
    spotted = rng.random() < 0.45
    cap = (
        natural(rng, top, 0.4)
        if spotted or rng.random() < 0.4
        else patterned(top, tint(rng, WHITE), Pattern.DOTS, u(1.6, 3))
    )
    rows, stems, positions = [], [], [(0.0, 0.0, 1.0)]
    if rng.random() < 0.45:
        positions.append((u(0.5, 0.75), u(-0.4, 0.3), u(0.4, 0.6)))
        if rng.random() < 0.5:
            positions.append((-u(0.5, 0.7), u(-0.4, 0.3), u(0.35, 0.5)))
    wide, high, tall, thick = u(0.55, 0.95), u(0.35, 0.75), u(0.45, 0.9), u(0.16, 0.32)
    for x, y, size in positions:
        z = 2 * tall * size
        rows.append(ellipsoid((x, y, z), (wide * size, wide * size, high * size), cap))
        rows.append(
            ellipsoid(
                (x, y, z - high * size),
                (wide * size * 1.1, wide * size * 1.1, high * size),
                solid(pale),
                op=Operation.SUBTRACT,
            )
        )
        stems.append(
            cone((x, y, z / 2 + 0.02), thick * size * u(1.0, 1.5), thick * size, z / 2 + high * size * 0.2, stalk, 0.05)
        )
    # all the caps are hollowed before any stem grows, so that no cap cuts a neighbor's stem
    rows += stems
    if spotted:
        for share, count in ((0.85, 6), (0.5, 4)):
            up = float(np.sqrt(1 - share * share))
            center = (wide * share * 0.99, 0, 2 * tall + high * up * 0.99)
            rows.append(
                ellipsoid(
                    center, (wide * 0.14, wide * 0.14, wide * 0.1), solid(WHITE), rotated(y=60 * share), repeat=count
                )
            )
    if rng.random() < 0.4:
        rows.append(cone((0, 0, tall * 1.35), thick * 1.6, thick * 1.1, 0.06, solid(tint(rng, pale)), 0.03))
    if len(positions) > 1 or rng.random() < 0.4:
        rows.append(ellipsoid((0, 0, 0), (0.95, 0.8, 0.13), natural(rng, pick(rng, LEAF))))
    return to_rows(rows)


def potted_plant(rng: np.random.Generator) -> np.ndarray:
    """A pot with a cactus, a flower, big leaves, a ball tree or tulips."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    pot = maybe_patterned(rng, tint(rng, (0.72, 0.4, 0.27)) if rng.random() < 0.4 else first, second, 0.3)
    green = pick(rng, LEAF)
    leaf, stem = natural(rng, green, 0.4), solid(tuple(0.8 * c for c in green))
    wide, tall, kind = u(0.3, 0.45), u(0.25, 0.4), int(rng.integers(5))
    rows = [cone((0, 0, 0), wide * u(0.65, 0.9), wide, tall, pot)]
    if rng.random() < 0.7:
        rows.append(cone((0, 0, tall - 0.05), wide * 1.12, wide * 1.15, 0.08, pot))
    rows.append(
        cone((0, 0, tall), wide * 0.9, wide * 0.9, 0.1, solid(tint(rng, (0.25, 0.17, 0.11))), op=Operation.SUBTRACT)
    )
    rows.append(cone((0, 0, tall - 0.1), wide * 0.85, wide * 0.85, 0.06, solid(tint(rng, (0.25, 0.17, 0.11)))))
    if kind == 0:
        thick, high = u(0.13, 0.22), u(0.6, 1.1)
        ribs = patterned(green, tuple(0.7 * c for c in green), 1, u(4, 6), 0)
        rows.append(limb((0, 0, tall - 0.1), (0, 0, tall + high), thick, thick * 0.9, ribs))
        for side in (1, -1)[: int(rng.integers(0, 3))]:
            z, out = tall + high * u(0.35, 0.65), side * (thick + u(0.15, 0.22))
            rows += [
                limb((0, 0, z), (out, 0, z + 0.03), 0.09, 0.09, ribs),
                limb((out, 0, z + 0.03), (out, 0, z + u(0.2, 0.4)), 0.09, 0.085, ribs),
            ]
        if rng.random() < 0.5:
            rows.append(ellipsoid((0, 0, tall + high + thick * 0.9), (0.1, 0.1, 0.08), solid(third)))
    elif kind == 1:
        high, petal = tall + u(0.6, 1.0), u(0.13, 0.18)
        rows.append(rod((0, 0, tall - 0.1), (0, 0, high), 0.05, 0.045, stem))
        count = int(rng.integers(5, 9))
        rows.append(
            ellipsoid(
                (petal * 1.7, 0, high + 0.06),
                (petal * 1.25, petal * 4.2 / count, 0.055),
                solid(third),
                rotated(y=-u(0, 35)),
                repeat=count,
            )
        )
        rows.append(ellipsoid((0, 0, high + 0.02), (petal * 0.95, petal * 0.95, 0.1), solid(tint(rng, YELLOW))))
        rows.append(ellipsoid((0.24, 0, tall + 0.2), (0.25, 0.1, 0.05), leaf, rotated(y=-30), repeat=2))
    elif kind == 2:
        count, long = int(rng.integers(4, 8)), u(0.32, 0.5)
        for steep, share, size in ((u(25, 40), 0.75, 1.0), (u(55, 70), 0.45, 1.1)):
            out, up = np.cos(np.radians(steep)) * long * size, np.sin(np.radians(steep)) * long * size
            rows.append(
                ellipsoid(
                    (out * 0.95, 0, tall - 0.05 + up * 0.95),
                    (long * size, 0.15 * share + 0.05, 0.05),
                    leaf,
                    rotated(y=-steep),
                    repeat=count,
                )
            )
        rows.append(ellipsoid((0, 0, tall + long * 0.6), (0.1, 0.1, long * 0.9), leaf))
    elif kind == 3:
        high = tall + u(0.4, 0.8)
        rows.append(rod((0, 0, tall - 0.1), (0, 0, high), 0.06, 0.05, solid(pick(rng, WOOD))))
        for i in range(int(rng.integers(1, 4))):
            size = u(0.3, 0.38) * (1 - 0.25 * i)
            rows.append(ellipsoid((0, 0, high + size * 0.7), size, leaf))
            high += size * 1.6
    else:
        for i in range(int(rng.integers(2, 5))):
            angle = i * 2.3 + u(0, 0.5)
            high, out = tall + u(0.4, 0.8), u(0.1, 0.28)
            head = (out * np.cos(angle), out * np.sin(angle), high)
            rows.append(rod((head[0] * 0.4, head[1] * 0.4, tall - 0.1), head, 0.045, 0.04, stem))
            rows.append(
                ellipsoid(
                    head,
                    (0.13, 0.13, 0.17),
                    patterned(third, tuple(min(1.2 * c, 0.94) for c in third), Pattern.GRADIENT),
                )
            )
        rows.append(ellipsoid((0.2, 0, tall + 0.18), (0.27, 0.08, 0.045), leaf, rotated(y=-55), repeat=3))
    if rng.random() < 0.3:
        rows.append(cone((0, 0, -tall), wide * 1.15, wide * 1.2, 0.05, solid(pick(rng, STONE)), 0.03))
    return to_rows(rows)

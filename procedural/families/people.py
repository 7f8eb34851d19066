"""Figures that stand upright and face -Y: snowman, robot, person, teddy bear."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror

from .materials import (
    BLACK,
    FUR,
    HUMAN,
    METAL,
    ORANGE,
    WHITE,
    WOOD,
    colors,
    maybe_patterned,
    natural,
    pick,
    solid,
    tint,
)
from .primitives import box, cone, ellipsoid, limb, ring, rod, rotated, to_rows


def snowman(rng: np.random.Generator) -> np.ndarray:
    """Two or three balls of snow, carrot nose, eyes, twig arms, scarf, buttons and a hat."""
    u = rng.uniform
    first, second, _ = colors(rng, 3)
    snow = solid(tint(rng, (0.86, 0.89, 0.93), 0.05))
    sizes = [u(0.6, 0.8)]
    while len(sizes) < (3 if rng.random() < 0.75 else 2):
        sizes.append(sizes[-1] * u(0.68, 0.82))
    rows, z = [], 0.0
    for i, size in enumerate(sizes):
        z += 0.0 if i == 0 else 0.78 * (sizes[i - 1] + size)
        rows.append(ellipsoid((0, 0, z), (size, size, size * u(0.9, 1.0)), snow, blend=0.04))
    head, chest = sizes[-1], sizes[-2]
    chest_z = z - 0.78 * (chest + head)
    rows.append(
        rod((0, -head * 0.9, z), (0, -head * 0.9 - u(0.25, 0.5), z - 0.02), 0.09, 0.015, solid(tint(rng, ORANGE)))
    )
    rows.append(ellipsoid((head * 0.35, -head * 0.86, z + head * 0.3), head * 0.13, solid(BLACK), mirror=Mirror.X))
    for share in (0.45, 0.05):
        rows.append(ellipsoid((0, -chest * (1 - share * share * 0.4), chest_z + chest * share), 0.065, solid(BLACK)))
    if rng.random() < 0.8:
        twig = solid(pick(rng, WOOD))
        hand = (chest + u(0.4, 0.6), u(-0.2, 0.1), chest_z + u(0.0, 0.6))
        rows.append(limb((chest * 0.8, 0, chest_z + 0.1), hand, 0.055, 0.04, twig, mirror=Mirror.X))
    if rng.random() < 0.7:
        scarf = maybe_patterned(rng, first, second, 0.5)
        rows.append(ring((0, 0, z - head * 0.72), head * 0.72, 0.11, scarf))
        rows.append(box((head * 0.4, -chest * 0.78, z - head - 0.1), (0.1, 0.06, 0.26), scarf, 0.03, rotated(x=-12)))
    hat = int(rng.integers(3))
    if hat == 0:
        cloth = solid(tint(rng, BLACK) if rng.random() < 0.5 else second)
        rows.append(cone((0, 0, z + head * 0.75), head * 1.05, head * 1.05, 0.05, cloth))
        rows.append(cone((0, 0, z + head * 0.75 + 0.25), head * 0.7, head * u(0.6, 0.8), 0.28, cloth))
        rows.append(cone((0, 0, z + head * 0.75 + 0.1), head * 0.72, head * 0.72, 0.06, solid(first)))
    elif hat == 1:
        rows.append(
            cone(
                (0, 0, z + head * 0.95),
                head * 0.85,
                head * 0.3,
                head * 0.4,
                maybe_patterned(rng, second, first, 0.6),
                0.1,
            )
        )
        rows.append(ellipsoid((0, 0, z + head * 1.4), head * 0.25, solid(tint(rng, WHITE))))
    return to_rows(rows)


def robot(rng: np.random.Generator) -> np.ndarray:
    """Boxes or barrels with lamps for eyes, antennas, claws, wheels or feet."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    if rng.random() < 0.3:
        first = pick(rng, METAL)
    paint, trim, lit = maybe_patterned(rng, first, second, 0.2), solid(second), solid(third)
    joint = solid(pick(rng, METAL))
    width, depth, tall = u(0.32, 0.55), u(0.24, 0.4), u(0.38, 0.6)
    head, neck = u(0.22, 0.36), u(0.05, 0.15)
    if rng.random() < 0.65:
        rows = [box((0, 0, 0), (width, depth, tall), paint, u(0.03, 0.14))]
    else:
        depth = width
        rows = [cone((0, 0, 0), width * u(0.8, 1.1), width, tall, paint, 0.08)]
    z = tall + neck + head * 0.85
    rows.append(cone((0, 0, tall + neck / 2), 0.12, 0.12, neck / 2 + 0.1, joint))
    style, wide = int(rng.integers(3)), head * u(1.0, 1.5)
    if style == 0:
        rows.append(box((0, 0, z), (wide, head, head * 0.85), paint, 0.06))
        face = head
    elif style == 1:
        rows.append(cone((0, 0, z), head * 1.1, head, head * 0.85, paint, 0.08))
        face, wide = head, head
    else:
        rows.append(ellipsoid((0, 0, z - 0.05), (head * 1.15, head * 1.05, head), paint))
        face, wide = head * 0.92, head * 1.05
    rows.append(
        ellipsoid((wide * 0.42, -face, z + head * 0.15), (head * 0.24, 0.09, head * 0.24), lit, mirror=Mirror.X)
    )
    rows.append(box((0, -face, z - head * 0.42), (wide * 0.5, 0.06, head * 0.11), solid(BLACK)))
    if rng.random() < 0.6:
        rows.append(rod((0, 0, z + head * 0.7), (0, 0, z + head + u(0.15, 0.35)), 0.045, 0.04, joint))
        rows.append(ellipsoid((0, 0, z + head + 0.35), 0.1, lit))
        rows[-2] = rod((0, 0, z + head * 0.7), (0, 0, z + head + 0.35), 0.045, 0.04, joint)
    else:
        rows.append(cone((wide, 0, z), 0.13, 0.1, 0.09, joint, 0.02, rotated(y=90), mirror=Mirror.X))
    rows.append(
        box((0, -depth, tall * 0.25), (width * 0.6, 0.06, tall * 0.4), maybe_patterned(rng, third, second, 0.5), 0.03)
    )
    arm, shoulder = u(0.07, 0.13), (width + 0.08, 0, tall * 0.7)
    elbow = (width + u(0.15, 0.3), u(-0.1, 0.1), tall * 0.7 - u(0.35, 0.5))
    hand = (elbow[0] + u(-0.05, 0.1), elbow[1] - u(0.1, 0.4), elbow[2] + u(-0.45, 0.25))
    rows.append(ellipsoid((width + 0.02, 0, tall * 0.7), arm * 1.5, joint, mirror=Mirror.X))
    rows += [
        limb(shoulder, elbow, arm, arm * 0.9, trim, mirror=Mirror.X),
        limb(elbow, hand, arm * 0.9, arm * 0.9, trim, mirror=Mirror.X),
    ]
    rows.append(ellipsoid(hand, arm * 1.5, joint, mirror=Mirror.X))
    if rng.random() < 0.75:
        leg, x = u(0.3, 0.7), width * 0.5
        size = u(0.09, min(0.17, width * 0.42))
        rows.append(rod((x, 0, -tall + 0.05), (x, 0, -tall - leg), size, size, trim, mirror=Mirror.X))
        rows.append(
            box(
                (x, -0.08, -tall - leg),
                (min(size * 1.35, x - 0.01), size * 1.35 + 0.12, 0.1),
                paint,
                0.05,
                mirror=Mirror.X,
            )
        )
    else:
        rows.append(
            cone((width * 0.8, 0, -tall - 0.08), 0.28, 0.28, 0.1, solid(BLACK), 0.05, rotated(y=90), mirror=Mirror.X)
        )
        rows.append(box((0, 0, -tall - 0.05), (width * 0.8, 0.12, 0.12), joint))
    return to_rows(rows)


def person(rng: np.random.Generator) -> np.ndarray:
    """A man, woman or child with clothes, hair or hat, arms in some pose."""
    u = rng.uniform
    shirt, trousers, third = colors(rng, 3)
    flesh, hair = solid(pick(rng, HUMAN)), solid(pick(rng, FUR))
    cloth, legs = maybe_patterned(rng, shirt, third, 0.35), maybe_patterned(rng, trousers, third, 0.15)
    wide, tall, leg = u(0.2, 0.3), u(0.28, 0.36), u(0.6, 0.85)
    head = u(0.17, 0.26)
    z = tall + head * 1.25
    hip = wide * 0.5
    rows = [
        limb((0, 0, -tall * 0.6), (0, 0, tall * 0.55), wide * u(0.8, 1.0), wide * u(0.85, 1.1), cloth, blend=0.04),
        ellipsoid((wide * 0.6, 0, tall * 0.62), wide * 0.55, cloth, blend=0.05, mirror=Mirror.X),
        rod((0, 0, tall * 0.6), (0, 0, z), head * 0.45, head * 0.45, flesh),
        ellipsoid((0, 0, z), (head * 0.9, head * 0.95, head * 1.08), flesh),
        ellipsoid((head * 0.36, -head * 0.86, z + head * 0.12), head * 0.13, solid(BLACK), mirror=Mirror.X),
        ellipsoid((0, -head * 0.97, z - head * 0.12), head * 0.17, flesh),
    ]
    style = int(rng.integers(4))
    if style < 3:
        rows.append(ellipsoid((0, head * 0.16, z + head * 0.24), (head, head * 0.98, head * 0.98), hair))
    if style == 1:
        rows.append(limb((0, head * 0.6, z), (0, head * 0.8, z - head * 1.5), head * 0.6, head * 0.45, hair))
    elif style == 2:
        rows.append(ellipsoid((0, head * 0.5, z + head * 1.15), head * 0.42, hair))
    elif style == 3:
        rows.append(cone((0, 0, z + head * 0.55), head * u(1.2, 1.7), head * 1.2, 0.05, solid(third), 0.03))
        rows.append(ellipsoid((0, 0, z + head * 0.6), (head * 0.98, head * 0.98, head * 0.75), solid(third)))
    shoulder = (wide * 1.0, 0, tall * 0.68)
    out = u(0.05, 0.35)
    elbow = (wide * 1.1 + out, u(-0.08, 0.1), tall * 0.68 - u(0.18, 0.36))
    hand = (elbow[0] + u(-0.1, 0.2), elbow[1] - u(0.02, 0.25), elbow[2] + u(-0.34, 0.4))
    sleeve = flesh if rng.random() < 0.4 else cloth
    rows += [
        limb(shoulder, elbow, wide * 0.36, 0.075, cloth, mirror=Mirror.X),
        limb(elbow, hand, 0.075, 0.065, sleeve, mirror=Mirror.X),
    ]
    rows.append(ellipsoid(hand, 0.09, flesh, mirror=Mirror.X))
    foot = -tall - leg
    if rng.random() < 0.3:
        rows.append(cone((0, 0, -tall * 0.8 - leg * 0.25), wide * u(1.5, 2.1), wide * 0.85, leg * 0.35, legs, 0.03))
        legs = flesh
    spread = u(0.0, 0.12)
    rows.append(limb((hip, 0, -tall * 0.7), (hip + spread, 0, foot), wide * 0.48, 0.085, legs, mirror=Mirror.X))
    rows.append(ellipsoid((hip + spread, -0.08, foot - 0.05), (0.09, 0.19, 0.085), solid(third), mirror=Mirror.X))
    return to_rows(rows)


def teddy(rng: np.random.Generator) -> np.ndarray:
    """A stuffed bear, sitting or standing; mouse and rabbit ears happen too."""
    u = rng.uniform
    first, second, _ = colors(rng, 3)
    base = pick(rng, FUR) if rng.random() < 0.7 else first
    fur, pale = natural(rng, base, 0.25), solid(tuple(min(c * 1.25 + 0.12, 0.94) for c in base))
    girth, tall, head = u(0.38, 0.5), u(0.42, 0.55), u(0.34, 0.46)
    z = tall + head * 0.72
    rows = [
        ellipsoid((0, 0, 0), (girth, girth * 0.9, tall), fur, blend=0.03),
        ellipsoid((0, -girth * 0.25, -0.04), (girth * 0.72, girth * 0.72, tall * 0.75), pale),
        ellipsoid((0, 0, z), (head * 1.08, head * 0.95, head), fur),
        ellipsoid((0, -head * 0.8, z - head * 0.22), (head * 0.45, head * 0.4, head * 0.36), pale),
        ellipsoid((0, -head * 1.18, z - head * 0.1), (head * 0.17, head * 0.1, head * 0.12), solid(BLACK)),
        ellipsoid((head * 0.4, -head * 0.84, z + head * 0.2), head * 0.12, solid(BLACK), mirror=Mirror.X),
    ]
    if rng.random() < 0.8:
        size = head * u(0.34, 0.55)
        rows.append(ellipsoid((head * 0.8, 0.02, z + head * 0.75), (size, size * 0.5, size), fur, mirror=Mirror.X))
        rows.append(
            ellipsoid(
                (head * 0.8, -size * 0.35, z + head * 0.75), (size * 0.6, size * 0.3, size * 0.6), pale, mirror=Mirror.X
            )
        )
    else:
        rows.append(
            limb(
                (head * 0.4, 0, z + head * 0.7),
                (head * 0.65, 0.02, z + head * u(1.7, 2.3)),
                head * 0.24,
                head * 0.22,
                fur,
                mirror=Mirror.X,
            )
        )
    hand = (girth * u(1.2, 1.6), -u(0.05, 0.35), tall * u(-0.15, 0.9))
    rows.append(limb((girth * 0.7, 0, tall * 0.5), hand, 0.14, 0.17, fur, blend=0.05, mirror=Mirror.X))
    if rng.random() < 0.6:
        foot = (girth * 0.95, -girth * 1.35, -tall * 0.75)
        rows.append(limb((girth * 0.5, -girth * 0.3, -tall * 0.65), foot, 0.18, 0.19, fur, blend=0.05, mirror=Mirror.X))
        rows.append(
            ellipsoid((foot[0] + 0.03, foot[1] - 0.14, foot[2] + 0.02), (0.13, 0.07, 0.13), pale, mirror=Mirror.X)
        )
    else:
        foot = (girth * 0.55, -0.03, -tall - u(0.25, 0.4))
        rows.append(limb((girth * 0.5, 0, -tall * 0.6), foot, 0.2, 0.17, fur, blend=0.05, mirror=Mirror.X))
        rows.append(ellipsoid((foot[0], foot[1] - 0.1, foot[2] - 0.06), (0.17, 0.25, 0.12), fur, mirror=Mirror.X))
    if rng.random() < 0.5:
        rows.append(ring((0, 0, tall * 0.86), head * 0.55, 0.1, solid(second)))
        rows.append(
            ellipsoid(
                (0.14, -head * 0.72, tall * 0.84), (0.16, 0.08, 0.11), solid(second), rotated(y=20), mirror=Mirror.X
            )
        )
    return to_rows(rows)

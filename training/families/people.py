"""Figures that stand upright and look to -Y: snowman, robot, person, teddy bear."""

from __future__ import annotations

import numpy as np

from .parts import IN_X, box, cone, ellipsoid, limb, ring, rod, scene, turned
from .skins import BLACK, ORANGE, WHITE, WOOD, colours, of, painted, plain, tint


def snowman(rng: np.random.Generator) -> np.ndarray:
    """Two or three balls of snow, carrot nose, eyes, twig arms, scarf, buttons and a hat."""
    u = rng.uniform
    first, second, _ = colours(rng, 3)
    snow = plain(tint(rng, (0.86, 0.89, 0.93), 0.05))
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
        rod((0, -head * 0.9, z), (0, -head * 0.9 - u(0.25, 0.5), z - 0.02), 0.09, 0.015, plain(tint(rng, ORANGE)))
    )
    rows.append(ellipsoid((head * 0.35, -head * 0.86, z + head * 0.3), head * 0.13, plain(BLACK), mirror=IN_X))
    for share in (0.45, 0.05):
        rows.append(ellipsoid((0, -chest * (1 - share * share * 0.4), chest_z + chest * share), 0.065, plain(BLACK)))
    if rng.random() < 0.8:
        twig = plain(of(rng, WOOD))
        hand = (chest + u(0.4, 0.6), u(-0.2, 0.1), chest_z + u(0.0, 0.6))
        rows.append(limb((chest * 0.8, 0, chest_z + 0.1), hand, 0.055, 0.04, twig, mirror=IN_X))
    if rng.random() < 0.7:
        scarf = painted(rng, first, second, 0.5)
        rows.append(ring((0, 0, z - head * 0.72), head * 0.72, 0.11, scarf))
        rows.append(box((head * 0.4, -chest * 0.78, z - head - 0.1), (0.1, 0.06, 0.26), scarf, 0.03, turned(x=-12)))
    hat = int(rng.integers(3))
    if hat == 0:
        cloth = plain(tint(rng, BLACK) if rng.random() < 0.5 else second)
        rows.append(cone((0, 0, z + head * 0.75), head * 1.05, head * 1.05, 0.05, cloth))
        rows.append(cone((0, 0, z + head * 0.75 + 0.25), head * 0.7, head * u(0.6, 0.8), 0.28, cloth))
        rows.append(cone((0, 0, z + head * 0.75 + 0.1), head * 0.72, head * 0.72, 0.06, plain(first)))
    elif hat == 1:
        rows.append(
            cone((0, 0, z + head * 0.95), head * 0.85, head * 0.3, head * 0.4, painted(rng, second, first, 0.6), 0.1)
        )
        rows.append(ellipsoid((0, 0, z + head * 1.4), head * 0.25, plain(tint(rng, WHITE))))
    return scene(rows)

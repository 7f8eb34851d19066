"""Four-legged animals that face -Y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from procedural.schema import Mirror, Pattern

from .materials import BLACK, FUR, WHITE, colors, natural, patterned, pick, solid, tint
from .primitives import cone, ellipsoid, limb, ring, rod, rotated, to_rows


@dataclass(frozen=True)
class Species:
    """Proportions of a four-legged animal: lengths in units of about half a body."""

    leg: float
    thick: float
    length: float
    girth: float
    neck: tuple[float, float]
    """Offset of the head, forwards and upwards, from the shoulders."""
    neck_girth: float
    head: float
    snout: float
    ears: str
    tail: str
    extra: str = ""


SPECIES = {
    "dog": Species(0.5, 0.085, 0.5, 0.24, (0.18, 0.32), 0.15, 0.22, 0.26, "floppy", "up"),
    "wolf": Species(0.55, 0.08, 0.52, 0.24, (0.22, 0.28), 0.16, 0.21, 0.28, "pointed", "bushy"),
    "cat": Species(0.42, 0.075, 0.45, 0.19, (0.15, 0.24), 0.12, 0.22, 0.06, "pointed", "up"),
    "horse": Species(0.85, 0.085, 0.58, 0.28, (0.32, 0.58), 0.16, 0.16, 0.34, "pointed", "down", "mane"),
    "giraffe": Species(1.0, 0.085, 0.48, 0.27, (0.38, 1.35), 0.12, 0.15, 0.2, "side", "down", "knobs"),
    "elephant": Species(0.5, 0.17, 0.55, 0.48, (0.3, 0.25), 0.3, 0.36, 0.0, "huge", "down", "trunk"),
    "pig": Species(0.26, 0.1, 0.5, 0.36, (0.22, 0.1), 0.26, 0.28, 0.1, "pointed", "curl", "disc"),
    "cow": Species(0.52, 0.1, 0.62, 0.36, (0.3, 0.24), 0.2, 0.22, 0.22, "side", "down", "horns"),
    "sheep": Species(0.36, 0.075, 0.48, 0.4, (0.2, 0.22), 0.2, 0.2, 0.16, "side", "ball"),
    "rabbit": Species(0.2, 0.1, 0.34, 0.3, (0.12, 0.3), 0.16, 0.24, 0.05, "long", "ball"),
    "deer": Species(0.75, 0.065, 0.5, 0.23, (0.25, 0.5), 0.11, 0.15, 0.22, "side", "ball", "antlers"),
    "lion": Species(0.48, 0.1, 0.55, 0.26, (0.2, 0.22), 0.2, 0.23, 0.14, "round", "up", "ruff"),
}


def _coat(rng, name: str) -> tuple:
    """Material of the body, material of head and legs, and a darker color."""
    if name == "giraffe":
        base, spots = tint(rng, (0.87, 0.7, 0.4)), tint(rng, (0.5, 0.3, 0.14))
        return patterned(base, spots, Pattern.DOTS, rng.uniform(2.5, 4)), solid(base), spots
    if name == "elephant":
        base = tint(rng, (0.52, 0.53, 0.57), 0.1)
    elif name == "pig":
        base = tint(rng, (0.92, 0.65, 0.64))
    elif name == "sheep":
        dark = pick(rng, FUR)
        return natural(rng, tint(rng, (0.88, 0.86, 0.8)), 0.4), solid(dark), dark
    elif name == "lion":
        base = tint(rng, (0.82, 0.62, 0.32))
    elif rng.random() < 0.12:
        base = colors(rng, 1)[0]
    else:
        base = pick(rng, FUR)
    dark = tuple(0.55 * c for c in base)
    if name == "cow" and rng.random() < 0.7:
        return (
            patterned(tint(rng, WHITE), tint(rng, FUR[5 if rng.random() < 0.5 else 0]), Pattern.NOISE, 2.0),
            solid(base),
            dark,
        )
    if name in ("cat", "horse") and rng.random() < 0.35:
        if name == "horse":
            return (
                patterned(WHITE, BLACK, Pattern.STRIPES, rng.uniform(3, 5)),
                patterned(WHITE, BLACK, Pattern.STRIPES, 5.0),
                BLACK,
            )
        return patterned(base, dark, Pattern.STRIPES, rng.uniform(3, 5)), solid(base), dark
    return natural(rng, base, 0.3), solid(base), dark


def quadruped(rng: np.random.Generator) -> np.ndarray:
    """Dog, cat, horse, giraffe, elephant, pig, cow, sheep, rabbit, deer, lion."""
    u = rng.uniform
    name = list(SPECIES)[int(rng.integers(len(SPECIES)))]
    s = SPECIES[name]
    body, fur, dark = _coat(rng, name)
    leg, length, girth = s.leg * u(0.8, 1.15), s.length * u(0.85, 1.15), s.girth * u(0.85, 1.15)
    thick, head, snout = s.thick * u(0.85, 1.15), s.head * u(0.9, 1.15), s.snout * u(0.85, 1.2)
    fy, fz = -length - s.neck[0] * u(0.8, 1.2), s.neck[1] * u(0.8, 1.2) + girth * 0.4
    rows = [limb((0, length, 0), (0, -length, u(0, 0.05)), girth * u(0.85, 1.0), girth, body, blend=0.05)]
    if name == "sheep":
        rows = [ellipsoid((0, 0, 0), (girth * 1.05, length + girth * 0.9, girth * 1.1), body)]
    neck = body if name in ("giraffe", "horse") else fur
    rows.append(limb((0, -length * 0.9, girth * 0.2), (0, fy, fz), s.neck_girth * 1.25, s.neck_girth, neck, blend=0.08))
    rows.append(ellipsoid((0, fy, fz), (head * 0.92, head, head), fur, blend=0.05))
    drop = snout * (0.6 if name in ("horse", "deer", "giraffe", "cow") else 0.25)
    tip = (0, fy - head * 0.6 - snout, fz - head * 0.2 - drop)
    if name == "pig":
        rows.append(rod((0, fy, fz - 0.03), (0, fy - head - 0.1, fz - 0.05), 0.15, 0.12, solid(tint(rng, dark, 0.1))))
    elif snout:
        rows.append(limb((0, fy - head * 0.3, fz - head * 0.15), tip, head * 0.65, head * 0.45, fur, blend=0.04))
        rows.append(ellipsoid((0, tip[1] - head * 0.36, tip[2] + head * 0.1), head * 0.2, solid(BLACK)))
    rows.append(ellipsoid((head * 0.45, fy - head * 0.78, fz + head * 0.3), head * 0.16, solid(BLACK), mirror=Mirror.X))
    ear = (head * 0.6, fy + head * 0.15, fz + head * 0.75)
    if s.ears == "pointed":
        rows.append(
            rod(ear, (head * 0.8, ear[1], ear[2] + head * 0.75), head * 0.32, head * 0.08, fur, mirror=Mirror.X)
        )
    elif s.ears == "floppy":
        flap = rotated(y=-15 if rng.random() < 0.7 else 20)
        rows.append(
            ellipsoid(
                (head * 0.95, ear[1], fz), (head * 0.22, head * 0.4, head * 0.75), solid(dark), flap, mirror=Mirror.X
            )
        )
    elif s.ears == "long":
        rows.append(
            limb(
                ear,
                (head * 0.75, ear[1] + 0.08, ear[2] + head * u(1.4, 2.0)),
                head * 0.24,
                head * 0.2,
                fur,
                mirror=Mirror.X,
            )
        )
    elif s.ears == "huge":
        rows.append(
            ellipsoid(
                (head * 1.45, fy + head * 0.35, fz), (head * 0.8, 0.08, head), fur, rotated(z=25), mirror=Mirror.X
            )
        )
    elif s.ears == "side":
        rows.append(
            limb(
                (head * 0.7, ear[1], fz + head * 0.5),
                (head * 1.5, ear[1], fz + head * 0.6),
                head * 0.28,
                head * 0.18,
                fur,
                mirror=Mirror.X,
            )
        )
    else:
        rows.append(ellipsoid((head * 0.75, ear[1], fz + head * 0.85), head * 0.32, fur, mirror=Mirror.X))
    if s.extra == "mane":
        rows.append(limb((0, -length * 0.8, girth), (0, fy + head * 0.7, fz + head * 0.8), 0.09, 0.09, solid(dark)))
    elif s.extra == "knobs":
        rows.append(
            rod(
                (head * 0.4, fy, fz + head * 0.7),
                (head * 0.45, fy, fz + head * 1.6),
                0.045,
                0.05,
                solid(dark),
                mirror=Mirror.X,
            )
        )
    elif s.extra == "trunk":
        rows.append(limb((0, fy - head * 0.7, fz), (0, fy - head * 1.3, fz - 0.5), 0.16, 0.11, fur, blend=0.05))
        rows.append(
            limb((0, fy - head * 1.3, fz - 0.5), (0, fy - head * u(1.4, 2.1), fz - u(0.5, 0.85)), 0.11, 0.08, fur)
        )
        if rng.random() < 0.7:
            rows.append(
                limb(
                    (head * 0.5, fy - head * 0.7, fz - 0.2),
                    (head * 0.6, fy - head * 1.6, fz - 0.3),
                    0.07,
                    0.04,
                    solid(WHITE),
                    mirror=Mirror.X,
                )
            )
    elif s.extra == "horns":
        rows.append(
            limb(
                (head * 0.6, fy, fz + head * 0.8),
                (head * 1.2, fy, fz + head * 1.5),
                0.06,
                0.04,
                solid((0.8, 0.75, 0.6)),
                mirror=Mirror.X,
            )
        )
        rows.append(ellipsoid((0, length * 0.55, -girth * 0.9), girth * 0.35, solid(tint(rng, (0.9, 0.65, 0.62)))))
    elif s.extra == "antlers":
        fork = (head * 1.5, fy + 0.1, fz + head * 2.2)
        rows.append(limb((head * 0.4, fy, fz + head * 0.8), fork, 0.045, 0.04, solid(dark), mirror=Mirror.X))
        for y in (-0.25, 0.15):
            rows.append(limb(fork, (head * 2.0, fork[1] + y, fork[2] + 0.25), 0.04, 0.04, solid(dark), mirror=Mirror.X))
    elif s.extra == "ruff":
        rows.append(
            ellipsoid(
                (0, fy + head * 0.4, fz), (head * 1.45, head * 0.75, head * 1.5), solid(tint(rng, (0.5, 0.28, 0.1)))
            )
        )
    if s.tail == "ball":
        rows.append(ellipsoid((0, length + girth * 0.9, girth * 0.3), u(0.09, 0.14), body))
    elif s.tail == "curl":
        rows.append(ring((0, length + girth, 0.12), 0.1, 0.04, fur, rotation=rotated(y=70)))
    else:
        root = (0, length + girth * 0.7, girth * 0.45)
        y, z = {"up": (u(0.15, 0.4), u(0.3, 0.55)), "down": (u(0.1, 0.2), -u(0.4, 0.7)), "bushy": (0.4, -0.2)}[s.tail]
        size = 0.11 if s.tail == "bushy" or name == "horse" else 0.05
        rows.append(
            limb(
                root, (0, root[1] + y, root[2] + z), size * 0.7, size, solid(dark) if name in ("horse", "lion") else fur
            )
        )
    x, y = girth * 0.62, length * 0.92
    stride = u(-0.06, 0.1)
    rows.append(
        limb(
            (x, y, -girth * 0.2),
            (x, y + stride, -girth * 0.6 - leg),
            thick * 1.4,
            thick,
            fur,
            blend=0.04,
            mirror=Mirror.XY,
        )
    )
    if rng.random() < 0.6:
        foot = (x, y + stride, -girth * 0.6 - leg - thick * 0.3)
        rows.append(cone(foot, thick * 1.25, thick * 1.1, thick * 0.7, solid(dark), 0.02, mirror=Mirror.XY))
    return to_rows(rows)

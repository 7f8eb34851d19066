"""Household objects: lamp, camera, radio or television."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation, Pattern

from .materials import (
    BLACK,
    GLASS,
    METAL,
    TIRE,
    WHITE,
    WOOD,
    YELLOW,
    colors,
    maybe_patterned,
    patterned,
    pick,
    solid,
    tint,
)
from .primitives import box, cone, ellipsoid, limb, prism, rod, rotated, to_rows

TO_FRONT = rotated(x=90)
"""Rotation of a cylinder whose top faces -Y: lenses, knobs, loudspeakers."""


def lamp(rng: np.random.Generator) -> np.ndarray:
    """Table or floor lamp with a hollow shade, or a jointed desk lamp."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    metal = solid(pick(rng, METAL) if rng.random() < 0.5 else second)
    bulb = solid(tint(rng, YELLOW))
    if rng.random() < 0.3:
        knee, head = (0, u(0.3, 0.5), u(0.6, 0.9)), (0, u(-0.5, -0.3), u(1.2, 1.5))
        tip = (0, head[1] - u(0.25, 0.4), head[2] - u(0.3, 0.5))
        shade, flare = solid(first), u(0.3, 0.42)
        middle = [(a + b) / 2 for a, b in zip(head, tip, strict=True)]
        inner = [b + (b - a) * 0.1 for a, b in zip(head, tip, strict=True)]
        return to_rows(
            [
                rod(head, tip, 0.12, flare, shade),
                rod(middle, inner, 0.08, flare * 0.85, solid(WHITE), op=Operation.SUBTRACT),
                ellipsoid(middle, 0.15, bulb),
                cone((0, 0, 0), u(0.35, 0.5), u(0.25, 0.35), 0.07, shade if rng.random() < 0.5 else metal),
                limb((0, 0, 0.05), knee, 0.055, 0.055, metal),
                limb(knee, head, 0.055, 0.055, metal),
                ellipsoid(knee, 0.09, solid(third)),
                ellipsoid(head, 0.13, shade),
            ]
        )
    height = u(0.6, 1.2) if rng.random() < 0.7 else u(1.6, 2.3)
    low, half = u(0.45, 0.75), u(0.25, 0.45)
    high = low * u(0.45, 1.0)
    shade = maybe_patterned(rng, first, third, 0.5)
    rows = [
        cone((0, 0, height + half * 0.7), low, high, half, shade, 0.02),
        cone(
            (0, 0, height + half * 0.7),
            low - 0.06,
            high - 0.06,
            half * 1.1,
            solid(tint(rng, WHITE)),
            0.0,
            op=Operation.SUBTRACT,
        ),
        ellipsoid((0, 0, height + 0.12), 0.15, bulb),
        box((0, 0, height + half * 0.7), (high * 0.5 + low * 0.5 - 0.03, 0.035, 0.035), metal),
        rod((0, 0, -0.05), (0, 0, height + half * 0.75), 0.05, 0.05, metal),
        cone((0, 0, 0), u(0.3, 0.5), u(0.15, 0.4), u(0.05, 0.1), metal, 0.03),
    ]
    if height < 1.3:
        body, style = maybe_patterned(rng, second, third, 0.4), int(rng.integers(4))
        if style == 0:
            rows.append(ellipsoid((0, 0, height * 0.4), (u(0.25, 0.4), u(0.25, 0.4), height * 0.42), body))
        elif style == 1:
            rows.append(cone((0, 0, height * 0.4), u(0.25, 0.4), 0.1, height * 0.4, body, 0.03))
        elif style == 2:
            rows += [
                ellipsoid((0, 0, height * z), (u(0.16, 0.28), u(0.16, 0.28), height * 0.18), body)
                for z in (0.2, 0.5, 0.78)
            ]
        else:
            rows.append(prism((0, 0, height * 0.4), u(0.2, 0.35), u(0.1, 0.3), height * 0.4, u(0.15, 0.25), body))
    return to_rows(rows)


def camera(rng: np.random.Generator) -> np.ndarray:
    """A photo camera: body, lens, finder, flash, knobs, strap lugs."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    body = solid(tint(rng, BLACK) if rng.random() < 0.3 else first)
    metal = solid(pick(rng, METAL))
    width, tall, deep = u(0.6, 0.85), u(0.38, 0.55), u(0.16, 0.26)
    lens, out = tall * u(0.5, 0.78), u(0.15, 0.4)
    x = u(-0.15, 0.2) * width
    rows = [
        box((0, 0, 0), (width, deep, tall), body, u(0.03, 0.12)),
        box(
            (0, 0, -0.03),
            (width + 0.01, deep + 0.012, tall * u(0.4, 0.6)),
            maybe_patterned(rng, second, first, 0.3),
            0.05,
        ),
        cone((x, -deep, -0.03), lens, lens * 0.95, 0.07, metal, 0.02, TO_FRONT),
        cone((x, -deep - out / 2, -0.03), lens * 0.85, lens * 0.8, out / 2 + 0.05, solid(TIRE), 0.02, TO_FRONT),
        cone((x, -deep - out, -0.03), lens * 0.68, lens * 0.7, 0.1, solid(BLACK), 0.0, TO_FRONT, op=Operation.SUBTRACT),
        ellipsoid((x, -deep - out + 0.1, -0.03), (lens * 0.66, 0.12, lens * 0.66), solid(tint(rng, (0.25, 0.3, 0.5)))),
        cone((width * 0.7, 0, tall + 0.04), 0.12, 0.11, 0.08, metal),
        cone((-width * 0.72, 0, tall + 0.03), 0.14, 0.13, 0.06, solid(third)),
    ]
    if rng.random() < 0.6:
        rows.append(prism((x, 0, tall + 0.08), width * 0.35, width * 0.22, 0.13, deep * 0.9, body, 0.02))
        rows.append(box((x, -deep * 0.9, tall + 0.08), (width * 0.16, 0.03, 0.06), solid(GLASS)))
    else:
        rows.append(box((x, 0, tall + 0.03), (width * 0.2, deep * 0.8, 0.08), metal))
        rows.append(box((-width * 0.6, -deep, tall * 0.62), (width * 0.2, 0.04, tall * 0.18), solid(WHITE)))
    rows.append(box((0, deep, 0), (width * 0.6, 0.03, tall * 0.6), solid(tint(rng, (0.25, 0.35, 0.42)))))
    return to_rows(rows)


def radio(rng: np.random.Generator) -> np.ndarray:
    """Portable radio with loudspeakers, handle and aerial; or an old television on legs."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    case = maybe_patterned(rng, pick(rng, WOOD) if rng.random() < 0.35 else first, second, 0.15)
    metal, knob = solid(pick(rng, METAL)), solid(third)
    width, tall, deep = u(0.7, 1.0), u(0.42, 0.6), u(0.2, 0.3)
    if rng.random() < 0.5:
        size = min(tall * u(0.55, 0.7), width * 0.36)
        cloth = maybe_patterned(rng, (0.2, 0.2, 0.22), second, 0.4)
        rows = [box((0, 0, 0), (width, deep, tall), case, u(0.03, 0.12))]
        pair = Mirror.X if rng.random() < 0.6 else 0
        rows.append(cone((width * 0.56, -deep, -tall * 0.2), size, size, 0.05, metal, 0.02, TO_FRONT, mirror=pair))
        rows.append(
            cone(
                (width * 0.56, -deep - 0.03, -tall * 0.2),
                size * 0.8,
                size * 0.7,
                0.05,
                cloth,
                0.02,
                TO_FRONT,
                mirror=pair,
            )
        )
        if not pair:
            rows.append(box((-width * 0.42, -deep, -tall * 0.25), (width * 0.42, 0.04, tall * 0.3), knob, 0.02))
        rows.append(box((0, -deep, tall * 0.66), (width * 0.55, 0.04, tall * 0.18), solid(tint(rng, GLASS))))
        rows.append(
            cone((width * 0.75, -deep - 0.03, tall * 0.66), 0.09, 0.08, 0.08, knob, 0.02, TO_FRONT, mirror=Mirror.X)
        )
        if rng.random() < 0.7:
            high = tall + u(0.15, 0.25)
            rows.append(limb((width * 0.8, 0, tall - 0.05), (width * 0.7, 0, high), 0.05, 0.05, metal, mirror=Mirror.X))
            rows.append(limb((-width * 0.7, 0, high), (width * 0.7, 0, high), 0.06, 0.06, metal))
        if rng.random() < 0.6:
            rows.append(
                rod(
                    (width * 0.85, deep * 0.6, tall - 0.1),
                    (width * u(0.2, 1.2), deep * 0.6, tall + u(0.5, 0.9)),
                    0.04,
                    0.035,
                    metal,
                )
            )
        return to_rows(rows)
    tall, deep = tall * 1.3, deep * 1.6
    rows = [
        box((0, 0, 0), (width, deep, tall), case, 0.06),
        box((-width * 0.2, -deep, 0), (width * 0.72, 0.04, tall * 0.82), solid(TIRE), 0.04),
        ellipsoid((-width * 0.2, -deep, 0), (width * 0.64, 0.12, tall * 0.72), solid(tint(rng, (0.55, 0.65, 0.65)))),
        cone((width * 0.75, -deep - 0.02, tall * 0.55), 0.1, 0.09, 0.07, knob, 0.02, TO_FRONT),
        cone((width * 0.75, -deep - 0.02, tall * 0.15), 0.1, 0.09, 0.07, knob, 0.02, TO_FRONT),
        box(
            (width * 0.75, -deep, -tall * 0.45),
            (0.12, 0.03, tall * 0.3),
            patterned((0.2, 0.2, 0.2), (0.6, 0.6, 0.6), Pattern.STRIPES, 6.0, 2),
        ),
        box((0, deep, 0), (width * 0.7, 0.14, tall * 0.7), solid(TIRE), 0.05),
        rod(
            (width * 0.75, deep * 0.6, -tall),
            (width * 0.85, deep * 0.8, -tall - u(0.2, 0.5)),
            0.07,
            0.05,
            solid(pick(rng, WOOD)),
            mirror=Mirror.XY,
        ),
    ]
    if rng.random() < 0.7:
        rows += [
            ellipsoid((0, 0, tall), (0.18, 0.14, 0.12), knob),
            rod((0.05, 0, tall), (u(0.35, 0.6), 0, tall + u(0.5, 0.7)), 0.035, 0.035, metal, mirror=Mirror.X),
        ]
    return to_rows(rows)

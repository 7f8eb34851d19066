"""Chairs, tables and sofas; the back of a seat is on +Y."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror

from .materials import METAL, WOOD, colors, maybe_patterned, pick, solid
from .primitives import box, cone, ellipsoid, limb, ring, rod, rotated, to_rows


def _legs(rng, half_x, half_y, top, length, paint, thick) -> list:
    """Four legs, straight or splayed, round or square."""
    splay = rng.uniform(0, 0.12) if rng.random() < 0.5 else 0.0
    x, y = half_x - thick * 1.2, half_y - thick * 1.2
    if rng.random() < 0.5:
        return [box((x, y, top - length / 2), (thick, thick, length / 2 + 0.02), paint, mirror=Mirror.XY)]
    foot = (x + splay, y + splay, top - length)
    return [rod((x, y, top + 0.02), foot, thick * 1.1, thick * rng.uniform(0.75, 1.1), paint, mirror=Mirror.XY)]


def _frame(rng, first) -> tuple:
    """Color of legs and frames: wood, metal or a paint."""
    roll = rng.random()
    return pick(rng, WOOD) if roll < 0.5 else pick(rng, METAL) if roll < 0.8 else first


def chair(rng: np.random.Generator) -> np.ndarray:
    """Seat, back (board, slats, rungs or hoop) and four legs or a star foot; sometimes a stool with arms."""
    u = rng.uniform
    first, second, _ = colors(rng, 3)
    wood = _frame(rng, first)
    frame = solid(wood)
    width, depth, thick = u(0.42, 0.62), u(0.42, 0.58), u(0.05, 0.12)
    leg, back = u(0.6, 1.0), u(0.55, 1.1)
    seat = maybe_patterned(rng, second if rng.random() < 0.6 else wood, first)
    if rng.random() < 0.2:
        width = depth = (width + depth) / 2
        rows, square = [cone((0, 0, 0), width, width, thick, seat, 0.04)], 0.75
    else:
        rows, square = [box((0, 0, 0), (width, depth, thick), seat, u(0.02, 0.06))], 0.95
    if rng.random() < 0.8:
        rows += _legs(rng, width * square, depth * square, -thick, leg, frame, u(0.05, 0.075))
    else:
        foot = -thick - leg
        rows += [
            rod((0, 0, -thick), (0, 0, foot + 0.1), 0.08, 0.08, frame),
            limb((0, 0, foot + 0.12), (width, 0, foot + 0.06), 0.07, 0.05, frame, repeat=5),
        ]
    lean = u(0, 0.22)
    y, top = depth - 0.06, thick + back
    style = int(rng.integers(4))
    tilt = rotated(x=-np.degrees(np.arctan2(lean, back)))
    if style == 0:
        rows.append(
            box(
                (0, y + lean / 2, back / 2),
                (width * u(0.8, 1.0), u(0.05, 0.09), back / 2 + thick),
                seat if rng.random() < 0.5 else frame,
                0.05,
                tilt,
            )
        )
    elif style == 3:
        hoop = width * 0.8
        rows += [
            ring((0, y + lean / 2, back * 0.5), hoop, 0.06, frame, 180, rotated(x=90)),
            box((0, y + lean / 2, back * 0.4), (0.1, 0.05, back * 0.4 + thick), frame, 0.03, tilt),
        ]
        rows.append(
            rod((width * 0.45, y, 0), (width * 0.5, y + lean / 2, back * 0.4), 0.05, 0.05, frame, mirror=Mirror.X)
        )
    else:
        x = width - 0.07
        rows.append(rod((x, y, 0), (x, y + lean, top), 0.065, 0.055, frame, mirror=Mirror.X))
        rows.append(box((0, y + lean, top - 0.1), (width * 0.98, 0.055, u(0.08, 0.16)), frame, 0.03, tilt))
        if style == 1:
            for i in range(int(rng.integers(1, 3))):
                center = 0.25 + 0.3 * i
                rows.append(box((0, y + lean * center, back * center + thick), (x, 0.045, 0.07), frame, 0.02, tilt))
        else:
            for share in ((0.33,), (0.2, 0.6))[int(rng.integers(2))]:
                rows.append(
                    rod((x * share, y, 0), (x * share, y + lean, top - 0.1), 0.045, 0.045, frame, mirror=Mirror.X)
                )
    if rng.random() < 0.3:
        high = u(0.3, 0.45)
        rows.append(box((width - 0.02, 0.02, high), (0.06, depth * 0.95, 0.045), frame, 0.03, mirror=Mirror.X))
        rows.append(
            rod((width - 0.05, -depth * 0.7, 0), (width - 0.02, -depth * 0.7, high), 0.05, 0.05, frame, mirror=Mirror.X)
        )
    return to_rows(rows)


def table(rng: np.random.Generator) -> np.ndarray:
    """A round or long top on four legs, a pedestal, three feet or two trestles; a desk has drawers."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    wood = _frame(rng, first)
    frame, top = solid(wood), maybe_patterned(rng, first if rng.random() < 0.5 else wood, second, 0.3)
    thick, leg = u(0.045, 0.09), u(0.5, 1.1)
    if rng.random() < 0.4:
        width = depth = u(0.7, 1.1)
        rows = [cone((0, 0, 0), width, width, thick, top)]
        style, square = int(rng.integers(1, 4)), 0.68
    else:
        width, depth = u(0.8, 1.3), u(0.5, 0.85)
        rows = [box((0, 0, 0), (width, depth, thick), top, u(0.01, 0.05))]
        style, square = (0, 0, 3, 4)[int(rng.integers(4))], 0.97
    foot = -thick - leg
    if style in (0, 3):
        rows += _legs(rng, width * square, depth * square, -thick, leg, frame, u(0.06, 0.09))
        if rng.random() < 0.5:
            rows.append(box((0, 0, -thick - 0.08), (width * square - 0.1, depth * square - 0.1, 0.1), frame))
        if rng.random() < 0.25:
            rows.append(
                box((0, 0, foot + leg * u(0.2, 0.4)), (width * square - 0.08, depth * square - 0.08, 0.045), frame)
            )
        if style == 0 and rng.random() < 0.4:
            rows.append(
                box((width * 0.62, 0, -thick - leg * 0.35), (width * 0.28, depth * 0.85, leg * 0.36), solid(third))
            )
            for z in (0.2, 0.5):
                rows.append(ellipsoid((width * 0.62, -depth * 0.85, -thick - leg * z), 0.05, solid(pick(rng, METAL))))
    elif style == 4:
        rows.append(box((width * 0.7, 0, foot / 2), (0.06, depth * 0.85, -foot / 2), frame, mirror=Mirror.X))
        rows.append(box((0, 0, foot * 0.6), (width * 0.7, 0.05, 0.09), frame))
    else:
        rows.append(rod((0, 0, 0), (0, 0, foot + 0.04), u(0.08, 0.14), u(0.08, 0.18), frame))
        if style == 1:
            rows.append(cone((0, 0, foot + 0.06), width * u(0.4, 0.6), 0.15, 0.07, frame))
        else:
            rows.append(
                limb(
                    (0, 0, foot + 0.3), (width * 0.6, 0, foot + 0.05), 0.08, 0.06, frame, repeat=int(rng.integers(3, 5))
                )
            )
    return to_rows(rows)


def sofa(rng: np.random.Generator) -> np.ndarray:
    """Armchair or couch: base, back, arms, seat cushions, feet, sometimes pillows."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    cloth, cushion = (
        maybe_patterned(rng, first, second, 0.25),
        maybe_patterned(rng, first if rng.random() < 0.5 else second, third, 0.25),
    )
    seats = int(rng.integers(1, 4))
    width, depth, base = 0.2 + 0.36 * seats * u(0.9, 1.15), u(0.42, 0.55), u(0.14, 0.22)
    arm, arm_height, back = u(0.08, 0.16), u(0.22, 0.4), u(0.45, 0.8)
    soft = u(0.03, 0.09)
    rows = [
        box((0, 0, 0), (width, depth, base), cloth, 0.05),
        box((0, depth - 0.1, back / 2), (width, u(0.11, 0.16), back / 2 + base), cloth, soft, rotated(x=-u(0, 10))),
    ]
    if rng.random() < 0.4:
        rows.append(
            limb(
                (width, -depth + 0.1, arm_height),
                (width, depth, arm_height),
                arm * 1.15,
                arm * 1.15,
                cloth,
                mirror=Mirror.X,
            )
        )
    rows.append(
        box((width, 0, arm_height / 2 - base / 2), (arm, depth, (arm_height + base) / 2), cloth, soft, mirror=Mirror.X)
    )
    step = 2 * (width - arm) / seats
    for i in range(seats):
        x = (i - (seats - 1) / 2) * step
        rows.append(box((x, -0.1, base + 0.06), (step / 2 - 0.008, depth - 0.08, 0.11), cushion, 0.06))
        if rng.random() < 0.75:
            rows.append(
                box(
                    (x, depth - 0.26, base + back * 0.45),
                    (step / 2 - 0.012, 0.09, back * 0.34),
                    cushion,
                    0.07,
                    rotated(x=-10),
                )
            )
    rows.append(
        rod(
            (width - 0.05, depth - 0.12, -base + 0.02),
            (width, depth - 0.08, -base - u(0.1, 0.2)),
            0.06,
            0.045,
            solid(pick(rng, WOOD)),
            mirror=Mirror.XY,
        )
    )
    if rng.random() < 0.4:
        side = rng.choice((-1, 1))
        rows.append(
            box(
                (side * (width - arm - 0.22), depth - 0.38, base + 0.38),
                (0.2, 0.07, 0.2),
                maybe_patterned(rng, third, second, 0.6),
                0.06,
                rotated(-18, side * 8, 0),
            )
        )
    return to_rows(rows)

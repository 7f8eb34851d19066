"""Land vehicles: car, truck or bus, locomotive; the front is on -Y."""

from __future__ import annotations

import numpy as np

from procedural.schema import Mirror, Operation, Pattern

from .materials import (
    BLACK,
    GLASS,
    METAL,
    RED,
    TIRE,
    WHITE,
    YELLOW,
    colors,
    maybe_patterned,
    patterned,
    pick,
    solid,
    tint,
)
from .primitives import PROFILE, SIDEWAYS, box, cone, ellipsoid, limb, prism, to_rows


def _wheels(rng, x, ys, z, radius, half) -> list:
    """Wheels with hubs, left and right, at the given positions along y."""
    hub = solid(pick(rng, METAL))
    rows = []
    for y in ys:
        rows.append(cone((x, y, z), radius, radius, half, solid(TIRE), 0.04, SIDEWAYS, mirror=Mirror.X))
        rows.append(
            cone((x + half * 0.3, y, z), radius * 0.55, radius * 0.5, half * 0.9, hub, 0.02, SIDEWAYS, mirror=Mirror.X)
        )
    return rows


def _lights(x, y, z, size) -> list:
    return [
        ellipsoid((x, -y, z), (size, 0.05, size * 0.8), solid(YELLOW), mirror=Mirror.X),
        box((x, y, z), (size, 0.04, size * 0.6), solid(RED), mirror=Mirror.X),
    ]


def car(rng: np.random.Generator) -> np.ndarray:
    """Sedan, hatchback, van, pick-up, sports car or beetle."""
    u = rng.uniform
    paint_color, roof, _ = colors(rng, 3)
    paint = solid(paint_color) if rng.random() < 0.85 else maybe_patterned(rng, paint_color, roof, 1.0)
    glass = solid(tint(rng, GLASS if rng.random() < 0.5 else (0.2, 0.25, 0.3)))
    kind = ("sedan", "hatch", "van", "pickup", "sport", "beetle")[int(rng.integers(6))]
    width, length = u(0.4, 0.5), u(0.95, 1.15)
    height = u(0.15, 0.22) * (0.8 if kind == "sport" else 1.2 if kind == "van" else 1.0)
    wheel = u(0.19, 0.25)
    axle = length * u(0.58, 0.66)
    start, end, low, tall = {
        "sedan": (-0.45, 0.6, 0.2, 0.2),
        "hatch": (-0.45, 0.9, 0.18, 0.22),
        "van": (-0.75, 0.97, 0.18, 0.3),
        "pickup": (-0.5, 0.1, 0.2, 0.22),
        "sport": (-0.25, 0.65, 0.25, 0.15),
        "beetle": (-0.5, 0.7, 0.2, 0.2),
    }[kind]
    middle, half = (start + end) / 2 * length, (end - start) / 2 * length
    tall *= u(0.9, 1.15)
    if kind == "beetle":
        rows = [
            ellipsoid((0, 0, 0), (width * 0.95, length, height * 1.4), paint),
            ellipsoid((0, 0.05, height * 0.8), (width * 0.82, length * 0.6, tall * 1.9), paint),
            box((0, 0.05, height + tall * 0.75), (width * 0.85, length * 0.3, tall * 0.38), glass, 0.06),
            ellipsoid((0, 0.05, height * 0.9), (width * 0.79, length * 0.52, tall * 2.1), paint),
            ellipsoid((width * 0.8, axle, 0), (0.14, wheel * 1.5, wheel * 1.2), paint, mirror=Mirror.XY),
        ]
    else:
        rows = [box((0, 0, 0), (width, length, height), paint, u(0.05, 0.12))]
        if kind in ("sport", "sedan", "hatch") and rng.random() < 0.6:
            rows.append(
                prism(
                    (0, -length * 0.55, height), length * 0.42, length * 0.3, 0.06, width * 0.92, paint, 0.03, PROFILE
                )
            )
        base = height + tall - 0.03
        rows.append(
            prism(
                (0, middle, base),
                half,
                half - low * u(0.8, 1.2) * (1 if kind != "van" else 0.6),
                tall,
                width * 0.9,
                glass,
                0.04,
                PROFILE,
            )
        )
        top = solid(roof) if rng.random() < 0.2 else paint
        rows.append(box((0, middle, base + tall), (width * 0.88, half - low * 0.85, 0.05), top, 0.04))
        rows.append(prism((0, middle + half * 0.1, base), 0.09, 0.06, tall, width * 0.915, paint, 0.01, PROFILE))
        if kind == "van":
            rows.append(
                prism(
                    (0, middle + half * 0.62, base), half * 0.36, half * 0.33, tall, width * 0.92, paint, 0.02, PROFILE
                )
            )
    if kind == "pickup":
        rows.append(
            box(
                (0, length * 0.55, height + 0.05),
                (width * 0.7, length * 0.38, 0.17),
                solid(TIRE),
                op=Operation.SUBTRACT,
            )
        )
    rows.append(
        cone(
            (width, axle, -height * 0.8),
            wheel * 1.18,
            wheel * 1.18,
            0.16,
            solid(BLACK),
            0.0,
            SIDEWAYS,
            op=Operation.SUBTRACT,
            mirror=Mirror.XY,
        )
    )
    rows.append(
        cone((width - 0.08, axle, -height * 0.85), wheel, wheel, 0.1, solid(TIRE), 0.04, SIDEWAYS, mirror=Mirror.XY)
    )
    rows.append(
        cone(
            (width - 0.05, axle, -height * 0.85),
            wheel * 0.6,
            wheel * 0.5,
            0.09,
            solid(pick(rng, METAL)),
            0.02,
            SIDEWAYS,
            mirror=Mirror.XY,
        )
    )
    rows += _lights(width * 0.62, length - (0.1 if kind == "beetle" else 0.02), height * 0.3, 0.09)
    if kind != "beetle" and rng.random() < 0.5:
        rows.append(box((0, 0, -height * 0.7), (width * 0.8, length + 0.03, 0.05), solid(pick(rng, METAL)), 0.03))
    if kind == "sport" and rng.random() < 0.6:
        rows += [
            box((0, length * 0.88, height + 0.16), (width * 0.95, 0.1, 0.035), paint),
            box((width * 0.7, length * 0.88, height + 0.06), (0.04, 0.06, 0.12), paint, mirror=Mirror.X),
        ]
    elif rng.random() < 0.2 and kind != "beetle":
        rows.append(
            box(
                (0, middle, base + tall + 0.09),
                (0.16, 0.07, 0.06),
                solid(tint(rng, YELLOW) if rng.random() < 0.6 else (0.2, 0.35, 0.85)),
            )
        )
    return to_rows(rows)


def truck(rng: np.random.Generator) -> np.ndarray:
    """Bus, box truck, tanker, dump truck or fire engine."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    glass = solid(tint(rng, GLASS if rng.random() < 0.5 else (0.2, 0.25, 0.3)))
    width, length, wheel = u(0.36, 0.44), u(1.0, 1.35), u(0.17, 0.22)
    paint = solid(first)
    if rng.random() < 0.4:
        height = u(0.36, 0.5) if rng.random() < 0.75 else u(0.6, 0.7)
        dark = (0.2, 0.25, 0.3)
        panes = patterned(dark, first, Pattern.STRIPES, u(1.6, 2.6), 1)
        rows = [box((0, 0, height), (width, length, height), paint, u(0.04, 0.1))]
        for z in (1.35,) if height < 0.55 else (0.75, 1.5):
            rows.append(box((0, 0.08, height * z), (width + 0.012, length * 0.86, 0.14), panes, 0.01))
        rows.append(box((0, -length + 0.02, height * 1.35), (width * 0.85, 0.04, height * 0.42), glass))
        rows.append(box((0, 0, height * 0.7), (width + 0.015, length * 0.97, 0.05), solid(second)))
        rows += _wheels(rng, width - 0.06, (-length * 0.62, length * 0.6), -0.02, wheel, 0.09)
        return to_rows(rows + _lights(width * 0.65, length, 0.2, 0.08))
    cab, high = u(0.24, 0.34), u(0.34, 0.44)
    front = -length + cab
    rows = [
        box((0, 0, 0.06), (width * 0.75, length, 0.07), solid(TIRE)),
        box((0, front, high + 0.02), (width, cab, high), paint, 0.06),
        box((0, front - 0.04, high * 1.4), (width + 0.012, cab * 0.6, high * 0.32), glass),
        box((0, front - cab + 0.02, high * 1.4), (width * 0.85, 0.04, high * 0.34), glass),
    ]
    if rng.random() < 0.3:
        rows.append(box((0, front - cab - 0.12, 0.22), (width * 0.85, 0.26, 0.2), paint, 0.06))
    nose = -min(row[7] - row[2] for row in rows[1:] if row[0] == 1)
    back = (front + cab + 0.05 + length) / 2
    half, load = length - back, maybe_patterned(rng, second, third, 0.4)
    style = int(rng.integers(4))
    if style == 0:
        rows.append(box((0, back, u(0.55, 0.65)), (width + 0.03, half, u(0.48, 0.58)), load, 0.03))
    elif style == 1:
        tank = width * u(0.95, 1.1)
        rows.append(cone((0, back, tank + 0.08), tank, tank, half, load, 0.1, (1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)))
        rows.append(cone((0, back, 2 * tank + 0.1), 0.12, 0.1, 0.07, solid(pick(rng, METAL))))
    elif style == 2:
        rows.append(prism((0, back, 0.42), width * 0.85, width * 1.15, 0.34, half, solid(second), 0.03))
        rows.append(
            prism(
                (0, back, 0.55),
                width * 0.7,
                width * 1.05,
                0.35,
                half - 0.07,
                solid(tint(rng, (0.45, 0.33, 0.2))),
                0.0,
                op=Operation.SUBTRACT,
            )
        )
    else:
        rows.append(box((0, back, 0.36), (width, half, 0.3), paint, 0.04))
        rails = patterned((0.8, 0.8, 0.82), (0.45, 0.46, 0.5), Pattern.STRIPES, 4.0, 1)
        rows.append(
            box(
                (0, back - 0.15, 0.75),
                (0.12, half + 0.2, 0.05),
                rails,
                0.02,
                (1, 0, 0, 0, 0.985, 0.174, 0, -0.174, 0.985),
            )
        )
        rows.append(box((0, back + half * 0.4, 0.68), (0.1, 0.1, 0.12), solid(TIRE)))
        rows.append(box((0, front, 2 * high + 0.06), (width * 0.7, 0.06, 0.06), solid((0.2, 0.35, 0.85))))
    axles = (front, back + half * 0.45) if rng.random() < 0.5 else (front, back + half * 0.15, back + half * 0.7)
    rows += _wheels(rng, width - 0.06, axles, -0.02, wheel, 0.09)
    rows.append(ellipsoid((width * 0.65, -nose, 0.2), 0.075, solid(YELLOW), mirror=Mirror.X))
    return to_rows(rows)


def locomotive(rng: np.random.Generator) -> np.ndarray:
    """A steam engine: boiler, cab, chimney, dome, cow-catcher and wheels."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    width, length, boiler, wheel = u(0.34, 0.42), u(0.8, 1.05), u(0.28, 0.36), u(0.2, 0.26)
    paint, trim = solid(first), solid(second)
    axis = (1.0, 0, 0, 0, 0, -1.0, 0, 1.0, 0)
    middle = boiler + 0.06
    roof = u(0.75, 0.95) + boiler * 0.5
    rows = [
        box((0, 0, 0), (width, length, 0.09), solid(third)),
        cone((0, -length * 0.28, middle), boiler, boiler, length * 0.68, paint, 0.05, axis),
        cone((0, -length * 0.95, middle), boiler * 0.8, boiler * 0.8, 0.06, solid(pick(rng, METAL)), 0.02, axis),
        box(
            (0, length * 0.66, roof / 2), (width, length * 0.32, roof / 2), trim if rng.random() < 0.5 else paint, 0.03
        ),
        box(
            (0, length * 0.62, roof * 0.68),
            (width + 0.2, length * 0.16, roof * 0.15),
            solid(BLACK),
            op=Operation.SUBTRACT,
        ),
        box((0, length * 0.66, roof), (width + 0.08, length * 0.42, 0.05), solid(third), 0.04),
        cone((0, -length * 0.68, middle + boiler + 0.16), 0.1, u(0.1, 0.2), 0.22, trim),
        ellipsoid((0, -length * 0.15, middle + boiler), (0.15, 0.15, 0.15), solid(pick(rng, METAL))),
        prism((0, -length - 0.08, -0.12), 0.25, 0.06, 0.14, width * 0.85, solid(tint(rng, RED)), 0.02, PROFILE),
        ellipsoid((0, -length * 0.98, middle + boiler * 0.75), 0.09, solid(WHITE)),
        box((width, -0.1, -0.12), (0.05, length * 0.6, 0.04), solid(pick(rng, METAL)), mirror=Mirror.X),
    ]
    count = int(rng.integers(2, 4))
    rows += _wheels(
        rng, width - 0.05, [length * (-0.6 + 1.2 * i / (count - 1)) for i in range(count)], -0.12, wheel, 0.08
    )
    if rng.random() < 0.4:
        rows.append(limb((0, length * 0.66, roof), (0, length * 0.66, roof + 0.1), 0.08, 0.06, trim))
    return to_rows(rows)

"""House, tower (castle, lighthouse, church), tall building; the door is on -Y."""

from __future__ import annotations

import math

import numpy as np

from procedural.schema import Mirror, Operation, Pattern

from .materials import (
    BRICK,
    GLASS,
    METAL,
    RED,
    ROOF,
    STONE,
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
from .primitives import box, cone, ellipsoid, prism, ring, rotated, to_rows


def house(rng: np.random.Generator) -> np.ndarray:
    """Walls, gable or hipped roof, door, windows, chimney; sometimes a wing, a porch or a second floor."""
    u = rng.uniform
    paint, accent, third = colors(rng, 3)
    walls = solid(pick(rng, BRICK) if rng.random() < 0.6 else paint)
    tiles = pick(rng, ROOF) if rng.random() < 0.7 else accent
    roof = (
        solid(tiles)
        if rng.random() < 0.6
        else patterned(tiles, tuple(0.8 * c for c in tiles), Pattern.STRIPES, 5.0, int(rng.integers(2)))
    )
    wide, deep, tall = u(0.5, 0.9), u(0.45, 0.7), u(0.3, 0.65)
    rise, over = u(0.3, 0.65), u(0.04, 0.12)
    rows = [box((0, 0, 0), (wide, deep, tall), walls)]
    style, slab = int(rng.integers(3)), 0.05
    if style == 0:
        slope = math.atan2(rise, wide)
        rows.append(prism((0, 0, tall + rise / 2 - 0.03), wide - 0.01, 0.0, rise / 2, deep, walls, 0.0))
        half = math.hypot(wide, rise) / 2 + over
        center = (wide / 2 + over * 0.4, 0, tall + rise / 2 + 0.01)
        rows.append(
            box(center, (half, deep + over, slab), roof, rotation=rotated(y=math.degrees(slope)), mirror=Mirror.X)
        )
    elif style == 1:
        slope = math.atan2(rise, deep)
        rows.append(prism((0, 0, tall + rise / 2 - 0.03), deep - 0.01, 0.0, rise / 2, wide, walls, 0.0, rotated(z=90)))
        half = math.hypot(deep, rise) / 2 + over
        center = (0, deep / 2 + over * 0.4, tall + rise / 2 + 0.01)
        rows.append(
            box(center, (wide + over, half, slab), roof, rotation=rotated(x=-math.degrees(slope)), mirror=Mirror.Y)
        )
    else:
        rows.append(prism((0, 0, tall + rise / 2 - 0.02), wide + over, wide * u(0.1, 0.5), rise / 2, deep + over, roof))
        # the other two slopes of a hipped roof are cut off the ends of the prism
        lean = math.degrees(math.atan2(rise, deep))
        cut = (
            0,
            deep + over + 0.5 * math.sin(math.radians(lean)),
            tall - 0.02 + 0.5 * math.cos(math.radians(lean)) + 0.06,
        )
        rows.append(box(cut, (3, 1.5, 0.5), roof, 0.0, rotated(x=-lean), op=Operation.SUBTRACT, mirror=Mirror.Y))
    x = u(-0.4, 0.4) * wide if rng.random() < 0.5 else 0.0
    door = solid(pick(rng, WOOD) if rng.random() < 0.5 else accent)
    rows.append(box((x, -deep, -tall + 0.2), (0.12, 0.04, 0.22), door))
    glass, frame = solid(tint(rng, GLASS if rng.random() < 0.7 else YELLOW)), solid(WHITE)
    window, size = max(wide * 0.62, abs(x) + 0.26), u(0.09, 0.13)
    if window + size < wide:
        z = -tall + 0.32
        rows.append(box((window, -deep, z), (size + 0.03, 0.03, size + 0.03), frame, mirror=Mirror.X))
        rows.append(box((window, -deep, z), (size, 0.04, size), glass, mirror=Mirror.X))
    rows.append(box((wide, 0, -tall * 0.1), (0.035, deep * 0.45, size), glass, mirror=Mirror.X))
    rows.append(box((0, deep, -tall * 0.1), (wide * 0.5, 0.035, size), glass))
    if tall > 0.48:
        rows.append(box((wide * 0.5, -deep, tall * 0.55), (size, 0.035, size), glass, mirror=Mirror.X))
    if rng.random() < 0.7:
        center = (wide * u(0.35, 0.6), deep * u(0.2, 0.45), tall + rise * 0.55)
        rows.append(box(center, (0.1, 0.1, rise * 0.5 + 0.12), solid(tint(rng, BRICK[0]))))
    if rng.random() < 0.35:
        side = 1 if rng.random() < 0.5 else -1
        low = tall * 0.65
        center = (side * (wide + 0.25), 0.05, low - tall)
        rows.append(box(center, (0.32, deep * 0.8, low), walls))
        rows.append(box((center[0], center[1], 2 * low - tall), (0.36, deep * 0.85, 0.06), roof))
        rows.append(
            box(
                (center[0] + side * 0.04, center[1] - deep * 0.8, center[2] - low * 0.25),
                (0.2, 0.03, low * 0.7),
                solid(third),
            )
        )
    elif rng.random() < 0.5:
        rows.append(prism((x, -deep - 0.1, -tall + 0.52), 0.24, 0.02, 0.1, 0.16, roof, 0.01))
    if rng.random() < 0.5:
        rows.append(box((0, -0.05, -tall - 0.02), (wide + 0.12, deep + 0.15, 0.05), solid(pick(rng, STONE))))
    return to_rows(rows)


def tower(rng: np.random.Generator) -> np.ndarray:
    """Castle tower, lighthouse or church."""
    u = rng.uniform
    first, second = colors(rng, 2)
    stone = pick(rng, STONE) if rng.random() < 0.6 else first
    roof = solid(pick(rng, ROOF) if rng.random() < 0.6 else second)
    dark, door = solid((0.16, 0.15, 0.16)), solid(pick(rng, WOOD))
    kind, width, tall = int(rng.integers(3)), u(0.34, 0.5), u(0.75, 1.2)
    if kind == 0:
        wall = solid(stone)
        count = int(rng.integers(6, 10))
        rows = [
            cone((0, 0, 0), width * u(1.0, 1.2), width, tall, wall),
            cone((0, 0, tall), width, width * 1.25, 0.12, wall),
            cone((0, 0, tall + 0.16), width * 1.25, width * 1.25, 0.08, wall),
            cone((0, 0, tall + 0.3), width, width, 0.16, dark, op=Operation.SUBTRACT),
            box((width * 1.12, 0, tall + 0.3), (width * 0.13, width * 1.9 / count, 0.1), wall, repeat=count),
        ]
        if rng.random() < 0.5:
            rows += [
                cone((0, 0, tall + 0.3), width * 0.85, width * 0.85, 0.25, wall),
                cone((0, 0, tall + 0.85), width * 1.1, 0.02, 0.35, roof),
            ]
        rows.append(box((0, -width * 1.1, -tall + 0.22), (width * 0.35, 0.12, 0.24), door))
        rows += [box((0, -width * 1.02, z * tall), (0.06, 0.1, 0.14), dark) for z in (-0.1, 0.5)]
        if rng.random() < 0.5:
            low, x = tall * 0.55, width * 2.3
            rows.append(box((0, 0, low * 0.75 - tall), (x, 0.14, low * 0.75), wall))
            rows.append(cone((x, 0, low - tall), width * 0.6, width * 0.55, low, wall, mirror=Mirror.X))
            rows.append(cone((x, 0, 2 * low - tall + 0.22), width * 0.8, 0.02, 0.26, roof, mirror=Mirror.X))
    elif kind == 1:
        rows = [
            cone(
                (0, 0, 0),
                width,
                width * 0.62,
                tall,
                patterned(
                    tint(rng, WHITE), tint(rng, RED) if rng.random() < 0.6 else second, Pattern.STRIPES, u(0.9, 1.8)
                ),
            ),
            cone((0, 0, tall + 0.04), width * 0.9, width * 0.9, 0.06, dark),
            cone((0, 0, tall + 0.22), width * 0.48, width * 0.48, 0.2, solid(tint(rng, YELLOW))),
            ring((0, 0, tall + 0.2), width * 0.85, 0.04, dark),
            cone((width * 0.84, 0, tall + 0.12), 0.04, 0.04, 0.1, dark, repeat=6),
            cone((0, 0, tall + 0.52), width * 0.65, 0.05, 0.15, roof),
            ellipsoid((0, 0, tall + 0.68), 0.07, dark),
            box((0, -width * 0.95, -tall + 0.2), (0.12, 0.1, 0.22), door),
            box((0, -width * 0.82, 0.1), (0.07, 0.07, 0.1), solid(GLASS)),
            cone((0, 0, -tall - 0.08), width * u(1.4, 2.0), width * 1.3, 0.12, solid(pick(rng, STONE)), 0.05),
        ]
        if rng.random() < 0.5:
            center = (width * 1.3, 0.1, -tall + 0.2)
            rows += [
                box(center, (0.32, 0.25, 0.26), solid(tint(rng, WHITE))),
                prism((center[0], center[1], center[2] + 0.36), 0.38, 0.02, 0.12, 0.3, roof),
            ]
    else:
        wall = maybe_patterned(rng, pick(rng, BRICK), first, 0.0)
        nave, low = u(0.6, 0.85), tall * 0.55
        rows = [
            box((0, -nave, 0), (width * 0.6, width * 0.6, tall), wall),
            prism((0, -nave, tall + 0.3), width * 0.7, 0.0, 0.33, width * 0.35, roof, 0.0),
            cone((0, -nave, tall + 0.3), width * 0.8, 0.01, 0.36, roof),
            box((0, 0, low - tall), (width, nave, low), wall),
            prism((0, 0.05, 2 * low - tall + 0.2), width * 1.15, 0.02, 0.22, nave + 0.02, roof),
            box((0, -nave - width * 0.6, -tall + 0.2), (0.13, 0.04, 0.22), door),
            cone((0, -nave - width * 0.6, tall * 0.55), 0.13, 0.13, 0.04, solid(WHITE), rotation=rotated(x=90)),
            box((0, -nave, tall + 0.72), (0.035, 0.035, 0.14), solid(METAL[3])),
            box((0, -nave, tall + 0.76), (0.1, 0.035, 0.035), solid(METAL[3])),
            box(
                (width, 0, low - tall),
                (0.035, nave * 0.8, low * 0.5),
                patterned(stone, tint(rng, GLASS), Pattern.STRIPES, 1.6 / nave, 1),
                mirror=Mirror.X,
            ),
        ]
    return to_rows(rows)


def block(rng: np.random.Generator) -> np.ndarray:
    """A tall building: one to three set-back storeys of windows, roof gear, spire."""
    u = rng.uniform
    first, second, third = colors(rng, 3)
    glass = tint(rng, GLASS if rng.random() < 0.6 else (0.25, 0.3, 0.38))
    rows, z, wide, deep = [], 0.0, u(0.4, 0.6), u(0.35, 0.5)
    round_one = rng.random() < 0.2
    for _ in range(int(rng.integers(1, 4))):
        tall = u(0.35, 0.7)
        if round_one:
            rows.append(cone((0, 0, z + tall), wide, wide, tall, patterned(first, glass, Pattern.STRIPES, u(2.5, 4))))
            rows.append(cone((0, 0, z + 2 * tall), wide + 0.03, wide + 0.03, 0.045, solid(second)))
        else:
            style = (Pattern.STRIPES, Pattern.DOTS)[int(rng.random() < 0.3)]
            rows.append(
                box(
                    (0, 0, z + tall),
                    (wide, deep, tall),
                    patterned(first, glass, style, u(2.5, 4), int(rng.integers(3))),
                )
            )
            rows.append(box((0, 0, z + 2 * tall), (wide + 0.03, deep + 0.03, 0.045), solid(second)))
        z += 2 * tall
        wide, deep = wide * u(0.6, 0.85), deep * u(0.6, 0.85)
    if rng.random() < 0.6:
        rows.append(box((wide * 0.3, 0, z + 0.1), (0.12, 0.12, 0.1), solid(third)))
    if rng.random() < 0.5:
        rows.append(cone((-wide * 0.3, 0, z + 0.25), 0.06, 0.04, 0.3, solid(pick(rng, METAL))))
    rows.append(box((0, -u(0.4, 0.45), 0.16), (0.16, 0.2, 0.16), solid(third)))
    return to_rows(rows)

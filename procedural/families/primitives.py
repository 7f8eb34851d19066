"""One builder per primitive; each returns one row of a scene (``procedural.schema``).

Object space: z up, the object's front faces -Y, so left and right are -X and +X; units are free. Keyword arguments that
every builder accepts: ``op`` (an ``Operation``), ``blend``, ``mirror`` (a ``Mirror``), ``repeat``. Positions, sizes and
rows are plain tuples, because a scene has to cost well under a millisecond.
"""

from __future__ import annotations

import math

import numpy as np

from procedural.schema import ROW_LENGTH, Column, Mirror, Operation, Primitive

from .materials import Material

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def rotated(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> tuple:
    """World-to-local matrix (9 numbers, row by row) of a primitive rotated about x, then y, then z, in degrees."""
    x, y, z = math.radians(x), math.radians(y), math.radians(z)
    sx, cx, sy, cy, sz, cz = math.sin(x), math.cos(x), math.sin(y), math.cos(y), math.sin(z), math.cos(z)
    return (
        *(cz * cy, sz * cy, -sy),
        *(cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx),
        *(cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx),
    )


PROFILE = rotated(z=90)
"""Rotation of a prism whose trapezoid shows from the side: local x runs along +Y (cabins, hoods, roofs)."""
FIN = rotated(z=-90)
"""Rotation of an upright prism that is thin in X: local x runs along -Y (fins, sails)."""
BACKWARD = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Rotation of a prism that is thin in X and whose local z runs along +Y (tail fins)."""
SIDEWAYS = rotated(y=90)
"""Rotation of a cylinder whose axis runs along X (wheels)."""


def wing(sweep: float = 0.0) -> tuple:
    """Rotation of a flat prism whose local z (root to tip) runs along +X, swept towards +Y by some degrees."""
    sin, cos = math.sin(math.radians(sweep)), math.cos(math.radians(sweep))
    return (-sin, cos, 0.0, 0.0, 0.0, 1.0, cos, sin, 0.0)


def _along(p, q) -> tuple:
    """Center, half length and world-to-local matrix of a primitive whose local z axis runs from p to q."""
    dx, dy, dz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    z = (dx / length, dy / length, dz / length)
    # Local x stays horizontal, so that a pattern across a limb is the same on every limb.
    flat = math.hypot(z[0], z[1])
    x = (-z[1] / flat, z[0] / flat, 0.0) if flat > 1e-6 else (1.0, 0.0, 0.0)
    y = (z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0])
    center = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (p[2] + q[2]) / 2)
    return center, length / 2, (*x, *y, *z)


def _row(
    kind: Primitive,
    sizes: tuple[float, float, float],
    rounding: float,
    half_depth: float,
    center: tuple[float, float, float],
    rotation: tuple,
    material: Material,
    op: Operation = Operation.UNION,
    blend: float = 0.0,
    mirror: Mirror = Mirror.NONE,
    repeat: int = 1,
) -> tuple:
    row = [0.0] * ROW_LENGTH
    row[Column.KIND] = kind
    row[Column.A : Column.ROUNDING] = sizes
    row[Column.ROUNDING] = rounding
    row[Column.HALF_DEPTH] = half_depth
    row[Column.CENTER : Column.ROTATION] = center
    row[Column.ROTATION : Column.OPERATION] = rotation
    row[Column.OPERATION] = op
    row[Column.BLEND] = blend
    row[Column.COLOR_A : Column.COLOR_B] = material.color_a
    row[Column.COLOR_B : Column.PATTERN] = material.color_b
    row[Column.PATTERN] = material.pattern
    row[Column.FREQUENCY] = material.frequency
    row[Column.AXIS] = material.axis
    row[Column.MIRROR] = mirror
    row[Column.REPEAT] = repeat
    return tuple(row)


def ellipsoid(center, radii, material, rotation=IDENTITY, **combination) -> tuple:
    """Ellipsoid with three radii (one number: a ball)."""
    sizes = radii if isinstance(radii, tuple) else (radii, radii, radii)
    return _row(Primitive.ELLIPSOID, sizes, 0.0, 0.0, center, rotation, material, **combination)


def box(center, half, material, rounding=0.02, rotation=IDENTITY, **combination) -> tuple:
    """Box with three half extents, rounding included."""
    rounding = min(rounding, 0.95 * min(half))
    return _row(Primitive.BOX, half, rounding, 0.0, center, rotation, material, **combination)


def cone(center, bottom, top, half_height, material, rounding=0.02, rotation=IDENTITY, **combination) -> tuple:
    """Cylinder or truncated cone along local z, radius ``bottom`` at the low end and ``top`` at the high one."""
    rounding = min(rounding, 0.95 * half_height, 0.95 * max(bottom, top))
    sizes = (bottom, top, half_height)
    return _row(Primitive.CONE, sizes, rounding, 0.0, center, rotation, material, **combination)


def rod(p, q, start, end, material, rounding=0.01, **combination) -> tuple:
    """Flat-ended cylinder or truncated cone from point p (radius ``start``) to point q (radius ``end``)."""
    center, half, rotation = _along(p, q)
    return cone(center, start, end, half, material, rounding, rotation, **combination)


def limb(p, q, start, end, material, **combination) -> tuple:
    """Round-ended capsule from point p (radius ``start``) to point q (radius ``end``)."""
    center, half, rotation = _along(p, q)
    return _row(Primitive.CAPSULE, (start, end, half), 0.0, 0.0, center, rotation, material, **combination)


def ring(center, major, minor, material, arc=180.0, rotation=IDENTITY, **combination) -> tuple:
    """Torus around local z, limited to the angles within ``arc`` degrees of local +x."""
    sizes = (major, minor, math.radians(arc))
    return _row(Primitive.TORUS, sizes, 0.0, 0.0, center, rotation, material, **combination)


def prism(
    center, bottom, top, half_height, half_depth, material, rounding=0.02, rotation=IDENTITY, **combination
) -> tuple:
    """Trapezoid in local x-z (half widths ``bottom`` and ``top``), extruded along local y."""
    rounding = min(rounding, 0.4 * half_height, 0.95 * half_depth, 0.4 * max(bottom, top))
    sizes = (bottom, top, half_height)
    return _row(Primitive.PRISM, sizes, rounding, half_depth, center, rotation, material, **combination)


def to_rows(primitives: list[tuple]) -> np.ndarray:
    """Primitives in their order -> the rows (P, 32) float32 of a scene."""
    return np.array(primitives, np.float32)

"""One builder per primitive; each returns one row of a scene (columns: docstring of ``backend.evaluate.scene``).

Object space: z up, the object's front faces -Y, so left and right are -X and +X; units are free.
Positions and sizes are plain tuples and rows are plain tuples too: a scene has to cost well under a millisecond.
"""

from __future__ import annotations

import math

import numpy as np

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
UNION, CARVE, KEEP = 0, 1, 2
"""Operators: add the part, subtract it from everything before it, keep only what is inside it."""
IN_X, IN_Y, IN_BOTH = 1, 2, 3
"""Mirrors: give the part on the positive side, away from the mirror plane (or symmetric in it)."""
MAX_PARTS = 20


def turned(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> tuple:
    """World-to-local matrix (9 numbers, by rows) of a part that was turned about x, then y, then z, in degrees."""
    x, y, z = math.radians(x), math.radians(y), math.radians(z)
    sx, cx, sy, cy, sz, cz = math.sin(x), math.cos(x), math.sin(y), math.cos(y), math.sin(z), math.cos(z)
    return (
        *(cz * cy, sz * cy, -sy),
        *(cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx),
        *(cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx),
    )


PROFILE = turned(z=90)
"""Turn of a prism whose trapezoid shows from the side: local x runs along +Y (cabins, hoods, roofs)."""
FIN = turned(z=-90)
"""Turn of an upright prism that is thin in X: local x runs along -Y (fins, sails)."""
BACKWARD = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""Turn of a prism that is thin in X and whose local z runs along +Y (tail fins)."""
SIDEWAYS = turned(y=90)
"""Turn of a cylinder whose axis runs along X (wheels)."""


def wing(sweep: float = 0.0) -> tuple:
    """Turn of a flat prism whose local z (root to tip) runs along +X, swept towards +Y by some degrees."""
    sin, cos = math.sin(math.radians(sweep)), math.cos(math.radians(sweep))
    return (-sin, cos, 0.0, 0.0, 0.0, 1.0, cos, sin, 0.0)


def _along(p, q) -> tuple:
    """Middle, half length and world-to-local matrix of a part whose local z axis runs from p to q."""
    dx, dy, dz = q[0] - p[0], q[1] - p[1], q[2] - p[2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    z = (dx / length, dy / length, dz / length)
    # Local x stays horizontal, so a pattern across a limb looks the same on every limb.
    flat = math.hypot(z[0], z[1])
    x = (-z[1] / flat, z[0] / flat, 0.0) if flat > 1e-6 else (1.0, 0.0, 0.0)
    y = (z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0])
    middle = ((p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (p[2] + q[2]) / 2)
    return middle, length / 2, (*x, *y, *z)


def _row(kind, a, b, c, rounding, depth, at, turn, skin, op=UNION, blend=0.0, mirror=0, repeat=1) -> tuple:
    return (kind, a, b, c, rounding, depth, *at, *turn, op, blend, *skin, mirror, repeat, 0.0)


def ellipsoid(at, radii, skin, turn=UPRIGHT, **how) -> tuple:
    """Ellipsoid with three radii (one number: a ball)."""
    a, b, c = radii if isinstance(radii, tuple) else (radii, radii, radii)
    return _row(0, a, b, c, 0.0, 0.0, at, turn, skin, **how)


def box(at, half, skin, rounding=0.02, turn=UPRIGHT, **how) -> tuple:
    """Box with three half extents, rounding included."""
    return _row(1, *half, min(rounding, 0.95 * min(half)), 0.0, at, turn, skin, **how)


def cone(at, bottom, top, half_height, skin, rounding=0.02, turn=UPRIGHT, **how) -> tuple:
    """Cylinder or cut cone along local z, radius ``bottom`` at the low end and ``top`` at the high one."""
    rounding = min(rounding, 0.95 * half_height, 0.95 * max(bottom, top))
    return _row(2, bottom, top, half_height, rounding, 0.0, at, turn, skin, **how)


def rod(p, q, start, end, skin, rounding=0.01, **how) -> tuple:
    """Flat-ended cylinder or cut cone from point p to point q."""
    middle, half, turn = _along(p, q)
    return cone(middle, start, end, half, skin, rounding, turn, **how)


def limb(p, q, start, end, skin, **how) -> tuple:
    """Round-ended capsule from point p (radius ``start``) to point q (radius ``end``)."""
    middle, half, turn = _along(p, q)
    return _row(4, start, end, half, 0.0, 0.0, middle, turn, skin, **how)


def ring(at, major, minor, skin, arc=180.0, turn=UPRIGHT, **how) -> tuple:
    """Torus around local z; only the angles within ``arc`` degrees of local +x are kept."""
    return _row(3, major, minor, math.radians(arc), 0.0, 0.0, at, turn, skin, **how)


def prism(at, bottom, top, half_height, half_depth, skin, rounding=0.02, turn=UPRIGHT, **how) -> tuple:
    """Trapezoid in local x-z (half widths ``bottom`` and ``top``), extruded along local y."""
    rounding = min(rounding, 0.4 * half_height, 0.95 * half_depth, 0.4 * max(bottom, top))
    return _row(5, bottom, top, half_height, rounding, half_depth, at, turn, skin, **how)


def scene(rows) -> np.ndarray:
    """Rows -> (P, 32) float32."""
    return np.array(rows, np.float32)

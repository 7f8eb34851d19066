"""The table that describes a procedural scene: one row of 32 numbers per primitive, combined in this order.

Rows live in object space: Z up, the object's front faces -Y, free units. Every evaluation (PyTorch in
``procedural.sdf``, Triton in ``procedural.triton_sdf``) and every builder (``procedural.families.primitives``) takes
its column numbers and codes from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import numpy as np

ROW_LENGTH = 32
MAX_PRIMITIVES = 20
"""Rows of the largest scene; smaller ones are padded to this when they are stored or batched."""


class Column(IntEnum):
    """First column of every field of a row; vectors and matrices occupy the columns up to the next field."""

    KIND = 0
    """A ``Primitive``."""
    A = 1
    """Sizes ``A``, ``B``, ``C`` are explained at ``Primitive``."""
    B = 2
    C = 3
    ROUNDING = 4
    """Radius of the rounded edges; the sizes include it."""
    HALF_DEPTH = 5
    """Half extent of a prism along local y."""
    CENTER = 6
    """Position (3,) of the primitive's origin."""
    ROTATION = 9
    """World-to-local rotation (3, 3), row by row."""
    OPERATION = 18
    """An ``Operation``."""
    BLEND = 19
    """Distance within which the seam with the earlier primitives is smoothed (polynomial smooth minimum)."""
    COLOR_A = 20
    """First color (3,), sRGB 0..1."""
    COLOR_B = 23
    """Second color (3,), sRGB 0..1."""
    PATTERN = 26
    """A ``Pattern``: how the two colors mix."""
    FREQUENCY = 27
    """Cycles of the pattern per unit of length."""
    AXIS = 28
    """Local axis 0..2 across which stripes run."""
    MIRROR = 29
    """A ``Mirror``."""
    REPEAT = 30
    """Number of copies around the Z axis; 0 or 1: no repetition."""
    UNUSED = 31


class Primitive(IntEnum):
    """Kinds of primitives, in their local frame, and what their sizes mean."""

    ELLIPSOID = 0
    """Radii ``A``, ``B``, ``C``."""
    BOX = 1
    """Half extents ``A``, ``B``, ``C``."""
    CONE = 2
    """Truncated cone along z: radius ``A`` at z = -``C``, ``B`` at z = ``C``."""
    TORUS = 3
    """Arc around z: major radius ``A``, minor radius ``B``, half opening angle ``C`` in radians, centered on +x."""
    CAPSULE = 4
    """Hull of two balls on z: radius ``A`` at z = -``C``, ``B`` at z = ``C``."""
    PRISM = 5
    """Trapezoid in x-z, half width ``A`` at z = -``C`` and ``B`` at z = ``C``, extruded to y = ±``HALF_DEPTH``."""


class Operation(IntEnum):
    """How a primitive is combined with all primitives before it."""

    UNION = 0
    SUBTRACT = 1
    INTERSECT = 2


class Pattern(IntEnum):
    """How a material's two colors alternate over a primitive."""

    SOLID = 0
    """The first color only."""
    STRIPES = 1
    CHECKS = 2
    DOTS = 3
    GRADIENT = 4
    """From the first color at the bottom to the second at the top, along local z."""
    NOISE = 5
    """Smooth, wavy transitions."""


class Mirror(IntFlag):
    """Coordinate planes in which a primitive is mirrored; it is described on the positive side of them."""

    NONE = 0
    X = 1
    Y = 2
    XY = 3


class Transform(IntEnum):
    """Fields of an object-to-world transform: rotation about Z, then uniform scale, then translation (3,)."""

    SCALE = 0
    TRANSLATION = 1
    COS_YAW = 4
    SIN_YAW = 5


TRANSFORM_LENGTH = 6
IDENTITY_TRANSFORM = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


class Light(IntEnum):
    """Fields of a scene's light: unit direction towards it (3,) and the ambient fraction of its intensity 0..1."""

    DIRECTION = 0
    AMBIENT = 3


LIGHT_LENGTH = 4


def pad_rows(scenes: Sequence[np.ndarray]) -> np.ndarray:
    """Rows (P, 32) of B scenes -> (B, MAX_PRIMITIVES, 32) float32, filled up with zeros."""
    padded = np.zeros((len(scenes), MAX_PRIMITIVES, ROW_LENGTH), np.float32)
    for index, rows in enumerate(scenes):
        padded[index, : len(rows)] = rows
    return padded

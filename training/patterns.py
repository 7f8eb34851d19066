"""Random patterns for objects of packs: most of these have one or few flat colors, and users' things often do not.

A pattern is solid: it depends on where a point is in the object's own space, before the object is stretched and bent,
so it needs no texture coordinates and looks the same from everywhere. It is a row of ``LENGTH`` numbers (``Column``),
which ``training.pattern_shading`` evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy.spatial.transform import Rotation

from objects.pack import TexturedObject
from procedural.families.materials import STONE, WOOD, colors, pick
from procedural.schema import Pattern

LENGTH = 26
SURFACE_COLORS = 128
"""Points of an object whose colors tell how many it has."""
MANY_COLORS = 10
"""Objects with so many colors get no pattern."""
ONE_COLOR_SHARE = 0.4
"""Share of the patterns that cover only what has one of the object's colors: the seat of a chair, say."""


class Column(IntEnum):
    """First column of every field of a row; vectors and matrices occupy the columns up to the next field."""

    KIND = 0
    """A ``Kind``."""
    FRAME = 1
    """Matrix (3, 4), row by row, from the object's own space to that of the pattern, whose unit is a cycle."""
    ROUGHNESS = 13
    """By how many cycles, about, noise moves what is evaluated."""
    FIRST = 14
    """The first color: a factor of the texture's color, and what is added (3,)."""
    SECOND = 18
    """The second color in the same way."""
    TARGET = 22
    """The color (3,), 0..1, that is covered; others stay as they are."""
    REACH = 25
    """By how much each channel of a covered color may differ from it."""


class Kind(IntEnum):
    """How two colors mix. ``procedural.schema.Pattern`` describes the first."""

    NONE = Pattern.SOLID
    STRIPES = Pattern.STRIPES
    CHECKS = Pattern.CHECKS
    DOTS = Pattern.DOTS
    GRADIENT = Pattern.GRADIENT
    WAVES = Pattern.NOISE
    WOOD = 6
    """Rings around the third axis, darker and darker to their edge."""
    PLANKS = 7
    """Boards of different tones, stacked along the third axis, with narrow gaps and grain."""
    MARBLE = 8
    """Veins across the first axis."""
    SPECKLES = 9
    """Irregular spots."""
    DIRT = 10
    """Clouds that get denser downward along the third axis."""


@dataclass(frozen=True)
class _Ranges:
    frequency: tuple[float, float]
    """Cycles per unit of length of the object's own space, in which objects are 2 long."""
    roughness: tuple[float, float] = (0.0, 0.0)
    rough_share: float = 1.0
    """How many have any roughness."""
    offset: float = 0.5
    """Largest, in cycles."""
    natural: tuple | None = None
    """Palette of the material, which often replaces the texture's color."""


_RANGES = {
    Kind.STRIPES: _Ranges((1.5, 6.0), (0.05, 0.25), rough_share=0.4),
    Kind.CHECKS: _Ranges((0.8, 3.0)),
    Kind.DOTS: _Ranges((1.5, 4.5), (0.05, 0.3), rough_share=0.3),
    Kind.GRADIENT: _Ranges((0.8, 2.5), (0.02, 0.3), rough_share=0.5),
    Kind.WAVES: _Ranges((0.6, 2.0), (0.1, 0.4), rough_share=0.5),
    Kind.WOOD: _Ranges((2.5, 6.0), (0.2, 0.7), natural=WOOD),
    Kind.PLANKS: _Ranges((1.2, 4.0), (0.02, 0.05), natural=WOOD),
    Kind.MARBLE: _Ranges((0.6, 1.6), (0.5, 1.2), natural=STONE),
    Kind.SPECKLES: _Ranges((3.0, 14.0), (0.1, 0.3), offset=10.0, natural=STONE),
    Kind.DIRT: _Ranges((0.7, 1.5), (0.02, 0.1)),
}
_UPRIGHT = Kind.GRADIENT, Kind.DIRT
_ALONG_AXES = Kind.STRIPES, Kind.CHECKS, Kind.WOOD, Kind.PLANKS
_STAINS = Kind.WOOD, Kind.PLANKS
"""Kinds whose second color is a tone of the first."""


def surface_colors(textured: TexturedObject, texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colors (SURFACE_COLORS, 3) float32 in 0..1 of an object with the ``texture`` (T, T, 3) uint8 at points spread
    evenly over its triangles."""
    corners = textured.vertices[textured.faces].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) + 1e-12
    face = rng.choice(len(areas), SURFACE_COLORS, p=areas / areas.sum())
    weights = rng.dirichlet([1, 1, 1], SURFACE_COLORS)[..., None]
    u, v = (textured.uvs[textured.uv_faces[face]] * weights).sum(1).T
    size = len(texture)
    column, row = (np.clip((place * size).astype(int), 0, size - 1) for place in (u, 1 - v))
    return texture[row, column].astype(np.float32) / 255


def flatness(surface: np.ndarray) -> float:
    """1 for an object of one color, less for two, 0 for ``MANY_COLORS`` that are equally frequent, from its
    ``surface_colors``."""
    _, counts = np.unique((surface * 15.99).astype(int) @ (256, 16, 1), return_counts=True)
    shares = counts / counts.sum()
    return max(0.0, 1 + float((shares * np.log(shares)).sum()) / np.log(MANY_COLORS))


def sample_patterns(surface: np.ndarray, chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random patterns (N, LENGTH) float32 for objects with ``surface_colors`` (N, K, 3); the others, of which object n
    is one with probability 1 - ``chances[n]``, have a row of zeros."""
    patterns = np.zeros((len(surface), LENGTH), np.float32)
    for index in np.flatnonzero(rng.random(len(surface)) < chances):
        patterns[index] = _sample_pattern(surface[index], rng)
    return patterns


def _sample_pattern(surface: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = list(_RANGES)[int(rng.integers(len(_RANGES)))]
    ranges, row = _RANGES[kind], np.zeros(LENGTH, np.float32)
    row[Column.KIND] = kind
    row[Column.FRAME : Column.ROUGHNESS] = _sample_frame(kind, ranges, rng).ravel()
    row[Column.ROUGHNESS] = rng.uniform(*ranges.roughness) * (rng.random() < ranges.rough_share)

    base = surface[int(rng.integers(len(surface)))]
    row[Column.TARGET : Column.REACH] = base
    row[Column.REACH] = 0.08 if rng.random() < ONE_COLOR_SHARE else 2  # the latter is all colors
    first = np.array([1.0, 0, 0, 0])
    if ranges.natural and rng.random() < 0.5:
        base = np.array(pick(rng, ranges.natural))
        first = np.array([0, *base])
    row[Column.FIRST : Column.SECOND] = first
    row[Column.SECOND : Column.TARGET] = _sample_second(kind, first, base, rng)
    return row


def _sample_frame(kind: Kind, ranges: _Ranges, rng: np.random.Generator) -> np.ndarray:
    """Matrix (3, 4)."""
    frequency = np.full(3, np.exp(rng.uniform(*np.log(ranges.frequency))))
    offset = rng.uniform(-ranges.offset, ranges.offset, 3)
    turn = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi)).as_matrix()
    if kind in _ALONG_AXES:
        turn = np.eye(3)[rng.permutation(3)]
        if rng.random() < 0.3:
            turn = turn @ Rotation.from_rotvec(rng.normal(0, 0.5, 3)).as_matrix()
    elif kind not in _UPRIGHT:
        turn = Rotation.random(None, rng).as_matrix()
    elif kind == Kind.GRADIENT and rng.random() < 0.5:
        turn = turn @ Rotation.from_rotvec(rng.normal(0, 1.0, 3)).as_matrix()
    if kind == Kind.WOOD:
        # Planks are cut far from the middle of the trunk, and rings change slowly along it.
        offset[:2] += frequency[0] * rng.uniform(-1.5, 1.5, 2)
        frequency[2] *= rng.uniform(0.05, 0.2)
    return np.concatenate([frequency[:, None] * turn, offset[:, None]], 1)


def _sample_second(kind: Kind, first: np.ndarray, base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The second color (4,) for a first one (4,), which is ``base`` (3,) on the object."""
    if kind == Kind.DIRT:
        return _over(first, np.array(pick(rng, WOOD)) * 0.6, rng.uniform(0.4, 0.9))
    if kind in _STAINS or rng.random() < 0.5:
        light = base.mean() < 0.3 or (base.mean() < 0.7 and rng.random() < 0.3)
        return _over(first, np.full(3, 0.95 if light else 0.05), rng.uniform(0.25, 0.6))
    return _over(first, np.array(colors(rng, 1)[0]), rng.uniform(0.5, 1.0))


def _over(tone: np.ndarray, color: np.ndarray, opacity: float) -> np.ndarray:
    """A color (3,) laid over a tone (4,)."""
    return (1 - opacity) * tone + opacity * np.array([0, *color])

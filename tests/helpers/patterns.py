"""The patterns of ``training.patterns`` in NumPy: the formulas that Triton evaluates."""

from __future__ import annotations

import numpy as np

from training.patterns import LENGTH, SURFACE_COLORS, Column, Kind, sample_patterns


def pattern_of_kind(kind: Kind) -> np.ndarray:
    """A random pattern (LENGTH,) of a kind for a gray object, all of which it covers."""
    surface = np.full((400, SURFACE_COLORS, 3), 0.6, np.float32)
    rows = sample_patterns(surface, np.ones(400), np.random.default_rng(0))
    row = rows[rows[:, Column.KIND] == kind][0]
    assert row.shape == (LENGTH,)
    row[Column.REACH] = 2
    return row


def wave(cycles: np.ndarray) -> np.ndarray:
    phase = cycles - np.floor(cycles) - 0.5
    return phase * (16 * np.abs(phase) - 8)


def noise(points: np.ndarray) -> np.ndarray:
    total, amplitude = np.zeros(points.shape[:-1]), 0.5
    turn = np.array([[0, 1.64, 1.23], [-1.64, 0.738, -0.984], [-1.23, -0.984, 1.312]])
    for _ in range(4):
        total += amplitude * (wave(points) * wave(points[..., [1, 2, 0]] + 0.25)).sum(-1)
        points, amplitude = points @ turn.T + [0.27, 0.65, 0.46], amplitude / 2
    return total


def mix(row: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Share (...) of the second color at points (..., 3) in the object's own space."""
    frame = row[Column.FRAME : Column.ROUGHNESS].reshape(3, 4).astype(float)
    at = points @ frame[:, :3].T + frame[:, 3]
    rough = noise(0.35 * at) if row[Column.ROUGHNESS] else np.zeros(at.shape[:-1])
    at = at + row[Column.ROUGHNESS] * rough[..., None]
    u, v, w = np.moveaxis(at, -1, 0)
    angle = 2 * np.pi * at
    board = np.floor(w)
    share = {
        Kind.STRIPES: np.sin(angle[..., 2]) > 0,
        Kind.CHECKS: np.sin(angle + 0.5).prod(-1) > 0,
        Kind.DOTS: np.cos(angle).sum(-1) > 1.3,
        Kind.GRADIENT: 0.5 + 0.5 * w,
        Kind.WAVES: 0.5 + 0.5 * np.sin(angle[..., 0] + 2 * np.sin(0.7 * angle[..., 1] + 0.4 * angle[..., 2])),
        Kind.WOOD: (np.hypot(u, v) % 1) ** 2,
        Kind.PLANKS: np.where(w - board < 0.07, 1, 0.3 + 0.3 * wave(0.382 * board) + 0.25 * rough),
        Kind.MARBLE: (1 - np.abs(wave(u / 2))) ** 3,
        Kind.SPECKLES: 6 * (rough - 0.35),
        Kind.DIRT: 0.5 + rough - w,
    }[Kind(int(row[Column.KIND]))]
    return np.clip(share, 0, 1)


def patterned(row: np.ndarray, points: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """What a pattern makes of colors (..., 3) in 0..1 at points (..., 3)."""
    if row[Column.KIND] == Kind.NONE:
        return colors
    first, second = row[Column.FIRST : Column.SECOND], row[Column.SECOND : Column.TARGET]
    tone = first + mix(row, points)[..., None] * (second - first)
    covered = np.abs(colors - row[Column.TARGET : Column.REACH]).max(-1, keepdims=True) < row[Column.REACH]
    return np.where(covered, tone[..., :1] * colors + tone[..., 1:], colors)

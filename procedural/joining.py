"""Two scenes made one: the second is scaled, turned and moved, and added to the first."""

from __future__ import annotations

import numpy as np

from procedural.schema import MAX_PRIMITIVES, Column, Mirror, Operation, Primitive

_REFLECTIONS = {Mirror.X: ((-1, 1),), Mirror.Y: ((1, -1),), Mirror.XY: ((-1, 1), (1, -1), (-1, -1))}


def can_be_added(rows: np.ndarray) -> bool:
    """Whether the rows (P, 32) of a scene only add to each other: what they cut would be cut from another scene too."""
    return bool((rows[:, Column.OPERATION] == Operation.UNION).all())


def join(first: np.ndarray, second: np.ndarray, scale: float, rotation: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The rows (P, 32) of a scene that holds ``first`` and, each point p of it at ``scale`` * ``rotation`` p +
    ``offset``, ``second``; ``rotation`` (3, 3). Raises ValueError where ``second`` cuts, or both have too many rows."""
    if not can_be_added(second):
        raise ValueError("the second scene cuts")
    rows = [copy for row in second for copy in _copies(row)]
    if len(first) + len(rows) > MAX_PRIMITIVES:
        raise ValueError(f"{len(first)} and {len(rows)} rows are more than {MAX_PRIMITIVES}")
    return np.concatenate([first, [_moved(row, scale, rotation, offset) for row in rows]]).astype(np.float32)


def _copies(row: np.ndarray) -> list[np.ndarray]:
    """A row's mirrored and repeated primitives as rows of their own: planes and axis of a scene that moves move too."""
    count = max(1, int(row[Column.REPEAT]))
    turns = [_about_z(2 * np.pi * number / count) for number in range(count)]
    flips = [np.eye(3)] + [np.diag([x, y, 1.0]) for x, y in _REFLECTIONS.get(Mirror(int(row[Column.MIRROR])), ())]
    rows = []
    for moved in (flip @ turn for turn in turns for flip in flips):
        copy = row.copy()
        copy[Column.CENTER : Column.ROTATION] = moved @ row[Column.CENTER : Column.ROTATION]
        copy[Column.ROTATION : Column.OPERATION] = (_rotation(row) @ moved.T).ravel()
        copy[Column.MIRROR] = copy[Column.REPEAT] = 0
        rows.append(copy)
    return rows


def _moved(row: np.ndarray, scale: float, rotation: np.ndarray, offset: np.ndarray) -> np.ndarray:
    moved = row.copy()
    lengths = [Column.A, Column.B, Column.C, Column.ROUNDING, Column.HALF_DEPTH, Column.BLEND]
    if row[Column.KIND] == Primitive.TORUS:
        lengths.remove(Column.C)  # an angle
    moved[lengths] *= scale
    moved[Column.FREQUENCY] /= scale
    moved[Column.CENTER : Column.ROTATION] = scale * rotation @ row[Column.CENTER : Column.ROTATION] + offset
    moved[Column.ROTATION : Column.OPERATION] = (_rotation(row) @ rotation.T).ravel()
    return moved


def _rotation(row: np.ndarray) -> np.ndarray:
    return row[Column.ROTATION : Column.OPERATION].reshape(3, 3)


def _about_z(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])

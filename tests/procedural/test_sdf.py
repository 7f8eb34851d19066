"""Signed distances and colors of primitives, against sampled surfaces and brute force."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from procedural.schema import ROW_LENGTH, Column, Mirror, Operation, Pattern, Primitive
from procedural.sdf import object_color, object_distance

RIM = np.linspace(0, 2 * np.pi, 240, endpoint=False)
LINE = np.linspace(0, 1, 81)


def row(
    kind,
    a=0.1,
    b=0.1,
    c=0.1,
    rounding=0.0,
    half_depth=0.1,
    center=(0, 0, 0),
    rotation=None,
    operation=Operation.UNION,
    blend=0.0,
):
    """One row of a scene's table."""
    values = np.zeros(ROW_LENGTH, np.float32)
    values[Column.KIND : Column.CENTER] = kind, a, b, c, rounding, half_depth
    values[Column.CENTER : Column.ROTATION] = center
    values[Column.ROTATION : Column.OPERATION] = (np.eye(3) if rotation is None else rotation).ravel()
    values[Column.OPERATION], values[Column.BLEND] = operation, blend
    return values


def distance(rows, points) -> np.ndarray:
    table = torch.from_numpy(np.atleast_2d(rows))
    return object_distance(table, torch.from_numpy(np.asarray(points, np.float32)))[0].numpy()


def revolved(profile: np.ndarray) -> np.ndarray:
    """A profile (N, 2) of radius and z, swept around the Z axis."""
    radius, z = profile[:, None, 0], profile[:, None, 1]
    z = np.broadcast_to(z, (len(profile), len(RIM)))
    return np.stack([radius * np.cos(RIM), radius * np.sin(RIM), z], -1).reshape(-1, 3)


def outline(*corners) -> np.ndarray:
    """Points along a line through 2D corners."""
    return np.concatenate([np.subtract(b, a) * LINE[:, None] + a for a, b in pairwise(corners)])


def ball_points(radius, count=20_000) -> np.ndarray:
    """Fibonacci's even spread over a ball."""
    step = np.arange(count) + 0.5
    z, angle = 1 - 2 * step / count, step * math.pi * (1 + 5**0.5)
    flat = np.sqrt(1 - z * z)
    return radius * np.stack([flat * np.cos(angle), flat * np.sin(angle), z], -1)


def box_faces(half) -> np.ndarray:
    steps = 2 * LINE - 1
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps))
    sides = [np.insert(np.stack([u, v], -1), axis, sign, 1) for axis in range(3) for sign in (-1, 1)]
    return np.concatenate(sides) * half


def capsule_profile(low, high, half):
    """Two balls joined by their common tangents: the profile of their hull."""
    tilt = math.asin((low - high) / (2 * half))
    bottom = np.linspace(-np.pi / 2, tilt, 80)
    top = np.linspace(tilt, np.pi / 2, 80)
    arcs = [
        np.stack([low * np.cos(bottom), low * np.sin(bottom) - half], -1),
        np.stack([high * np.cos(top), high * np.sin(top) + half], -1),
    ]
    return np.concatenate([arcs[0], outline(arcs[0][-1], arcs[1][0]), arcs[1]])


def prism_faces(low, high, half, depth):
    """The trapezoid's rim along y, and its two flat sides."""
    rim = outline((-low, -half), (low, -half), (high, half), (-high, half), (-low, -half))
    steps = (2 * LINE - 1) * depth
    band = np.stack([np.repeat(rim[:, 0], len(steps)), np.tile(steps, len(rim)), np.repeat(rim[:, 1], len(steps))], -1)
    u, v = (grid.ravel() for grid in np.meshgrid(2 * LINE - 1, LINE))
    across = np.stack([u * (low + v * (high - low)), np.zeros_like(u), (2 * v - 1) * half], -1)
    side = np.array([0, depth, 0])
    return np.concatenate([band, across + side, across - side])


def arc_points(large, small, half_angle):
    """A tube bent around z, reaching ``half_angle`` to both sides of +x, with round ends."""
    along = np.linspace(-half_angle, half_angle, 300)
    out = np.stack([np.cos(along), np.sin(along), np.zeros(300)], -1)
    up = np.array([0, 0, 1])
    across = np.cos(RIM)[:, None] * out[:, None] + np.sin(RIM)[:, None] * up
    tube = (large * out[:, None] + small * across).reshape(-1, 3)
    caps = []
    for end in (-1, 1):
        ball = ball_points(small, 4000)
        ahead = end * np.array([-np.sin(end * half_angle), np.cos(half_angle), 0])
        caps.append(ball[ball @ ahead >= 0] + large * out[0 if end < 0 else -1])
    return tube if half_angle == math.pi else np.concatenate([tube, *caps])


def in_balls(points, centers, radii):
    """Whether points (N, 3) are in any of the balls (M, 3), (M,)."""
    return (np.linalg.norm(points[:, None] - centers, axis=-1) < radii).any(1)


def in_arc(half_angle, small):
    along = np.linspace(-half_angle, half_angle, 300)
    spine = 0.35 * np.stack([np.cos(along), np.sin(along), np.zeros(300)], -1)
    return lambda p: in_balls(p, spine, np.full(300, small))


def in_capsule(low, high):
    """A ball that changes its size evenly on the way."""
    centers = np.outer(np.linspace(-0.3, 0.3, 300), [0, 0, 1])
    return lambda p: in_balls(p, centers, np.linspace(low, high, 300))


def in_cone(low, high):
    """Between two discs at z = -0.3 and 0.3."""
    return lambda p: (np.abs(p[:, 2]) < 0.3) & (np.hypot(p[:, 0], p[:, 1]) < low + (p[:, 2] + 0.3) / 0.6 * (high - low))


PRIMITIVES = {
    "ball": (row(Primitive.ELLIPSOID, 0.4, 0.4, 0.4), ball_points(0.4), lambda p: np.linalg.norm(p, axis=1) < 0.4),
    "box": (
        row(Primitive.BOX, 0.4, 0.2, 0.3),
        box_faces((0.4, 0.2, 0.3)),
        lambda p: (np.abs(p) < (0.4, 0.2, 0.3)).all(1),
    ),
    "cone": (
        row(Primitive.CONE, 0.4, 0.15, 0.3),
        revolved(outline((0, -0.3), (0.4, -0.3), (0.15, 0.3), (0, 0.3))),
        in_cone(0.4, 0.15),
    ),
    "pointed cone": (
        row(Primitive.CONE, 0.3, 0, 0.3),
        revolved(outline((0, -0.3), (0.3, -0.3), (0, 0.3))),
        in_cone(0.3, 0),
    ),
    "ring": (row(Primitive.TORUS, 0.35, 0.1, math.pi), arc_points(0.35, 0.1, math.pi), in_arc(math.pi, 0.1)),
    "arc": (row(Primitive.TORUS, 0.35, 0.08, 1.1), arc_points(0.35, 0.08, 1.1), in_arc(1.1, 0.08)),
    "long arc": (row(Primitive.TORUS, 0.35, 0.08, 2.3), arc_points(0.35, 0.08, 2.3), in_arc(2.3, 0.08)),
    "capsule": (row(Primitive.CAPSULE, 0.2, 0.1, 0.3), revolved(capsule_profile(0.2, 0.1, 0.3)), in_capsule(0.2, 0.1)),
    "pear": (
        row(Primitive.CAPSULE, 0.08, 0.25, 0.3),
        revolved(capsule_profile(0.08, 0.25, 0.3)),
        in_capsule(0.08, 0.25),
    ),
    "prism": (
        row(Primitive.PRISM, 0.4, 0.2, 0.3, half_depth=0.15),
        prism_faces(0.4, 0.2, 0.3, 0.15),
        lambda p: (np.abs(p) < np.stack([0.3 - p[:, 2] / 3, 0 * p[:, 0] + 0.15, 0 * p[:, 0] + 0.3], -1)).all(1),
    ),
}
"""A primitive, points all over its surface, and what is inside it, by formulas of another kind."""


@pytest.mark.parametrize("name", PRIMITIVES)
def test_distance_is_that_of_the_sampled_surface(name):
    one, surface, inside = PRIMITIVES[name]
    np.testing.assert_allclose(distance(one, surface), 0, atol=2e-5)
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (1500, 3))
    nearest, _ = KDTree(surface, compact_nodes=False).query(points)
    result = distance(one, points)
    clear = nearest > 0.02  # nearer, the samples' own spacing shows
    np.testing.assert_allclose(np.abs(result[clear]), nearest[clear], atol=1.5e-3)
    np.testing.assert_array_equal(result[clear] < 0, inside(points)[clear])
    assert (result < -0.02).sum() > 5


def test_ellipsoid_distance_is_right_to_first_order():
    half = np.array([0.4, 0.15, 0.25])
    surface = ball_points(1.0, 3000) * half
    normal = surface / half**2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    one = row(Primitive.ELLIPSOID, *half)
    np.testing.assert_allclose(distance(one, surface), 0, atol=1e-6)
    for step in (-0.01, -0.001, 0.001, 0.01):
        np.testing.assert_allclose(distance(one, surface + step * normal), step, rtol=0.05)
    assert distance(one, [[0, 0, 0]])[0] == pytest.approx(-0.15)
    far = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    far = far[((far / half) ** 2).sum(1) > 1]
    nearest, _ = KDTree(ball_points(1.0, 40_000) * half).query(far)
    assert (distance(one, far) < 2 * nearest + 0.01).all()
    assert (distance(one, far) > 0).all()


@pytest.mark.parametrize("kind", [Primitive.BOX, Primitive.CONE, Primitive.PRISM])
def test_rounding_takes_the_edges_and_leaves_the_size(kind):
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (2000, 3))
    soft = distance(row(kind, 0.4, 0.2, 0.3, rounding=0.05, half_depth=0.2), points)
    smaller = distance(row(kind, 0.35, 0.15, 0.25, half_depth=0.15), points)
    np.testing.assert_allclose(soft, smaller - 0.05, atol=1e-6)
    top = distance(row(kind, 0.4, 0.2, 0.3, rounding=0.05, half_depth=0.2), [[0, 0, 0.3], [0, 0, -0.3]])
    np.testing.assert_allclose(top, 0, atol=1e-6)


def rotation_z(degrees):
    """World-to-local rotation of a primitive rotated by ``degrees`` about z."""
    sin, cos = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def test_primitive_is_where_its_row_says():
    """A long box turned a quarter about z lies along y."""
    moved = row(Primitive.BOX, 0.3, 0.05, 0.1, center=(0.1, 0.2, -0.1), rotation=rotation_z(90))
    result = distance(
        moved, [(0.1, 0.5, -0.1), (0.1, -0.1, -0.1), (0.15, 0.2, -0.1), (0.1, 0.2, 0.0), (0.1, 0.6, -0.1)]
    )
    np.testing.assert_allclose(result, [0, 0, 0, 0, 0.1], atol=1e-6)
    slanted = row(Primitive.BOX, 0.3, 0.05, 0.1, rotation=rotation_z(30))
    tip = 0.3 * np.array([math.cos(math.pi / 6), 0.5, 0])
    np.testing.assert_allclose(distance(slanted, [tip, -tip, 1.5 * tip]), [0, 0, 0.15], atol=1e-6)


POINTS = np.random.default_rng(3).uniform(-0.6, 0.6, (3000, 3))
BALL, BOX_ASIDE = row(Primitive.ELLIPSOID, 0.3, 0.3, 0.3), row(Primitive.BOX, 0.2, 0.2, 0.2, center=(0.2, 0, 0))


def combined(operation, blend=0.0, second=BOX_ASIDE):
    second = second.copy()
    second[Column.OPERATION], second[Column.BLEND] = operation, blend
    return np.stack([BALL, second])


def test_operations_combine_primitives_in_order():
    a, b = distance(BALL, POINTS), distance(BOX_ASIDE, POINTS)
    np.testing.assert_allclose(distance(combined(Operation.UNION), POINTS), np.minimum(a, b), atol=1e-6)
    np.testing.assert_allclose(distance(combined(Operation.SUBTRACT), POINTS), np.maximum(a, -b), atol=1e-6)
    np.testing.assert_allclose(distance(combined(Operation.INTERSECT), POINTS), np.maximum(a, b), atol=1e-6)
    third = row(Primitive.ELLIPSOID, 0.15, 0.15, 0.15, center=(0.2, 0, 0))
    filled = distance(np.stack([*combined(Operation.SUBTRACT), third]), POINTS)
    np.testing.assert_allclose(filled, np.minimum(np.maximum(a, -b), distance(third, POINTS)), atol=1e-6)


def test_blend_fills_the_seam_and_nothing_else():
    a, b = distance(BALL, POINTS), distance(BOX_ASIDE, POINTS)
    soft = distance(combined(Operation.UNION, 0.1), POINTS)
    far = np.abs(a - b) > 0.1
    assert far.any()
    np.testing.assert_allclose(soft[far], np.minimum(a, b)[far], atol=1e-6)
    assert (soft[~far] <= np.minimum(a, b)[~far]).all()
    np.testing.assert_allclose((np.minimum(a, b) - soft).max(), 0.1 / 4, atol=5e-4)
    cut = distance(combined(Operation.SUBTRACT, 0.1), POINTS)
    assert (cut >= np.maximum(a, -b) - 1e-6).all()
    np.testing.assert_allclose((cut - np.maximum(a, -b)).max(), 0.1 / 4, atol=5e-4)


def test_color_is_the_deciding_primitives():
    rows = combined(Operation.UNION)
    rows[:, Column.COLOR_A : Column.PATTERN] = [(1, 0, 0) * 2, (0, 1, 0) * 2]
    table = torch.from_numpy(rows)
    points = torch.tensor([[-0.3, 0, 0], [0.4, 0, 0]])
    _, owner = object_distance(table, points)
    assert owner.tolist() == [0, 1]
    assert object_color(table, points, owner).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_patterns_mix_the_two_colors():
    points = torch.from_numpy(np.float32(POINTS))
    for pattern in Pattern:
        one = row(Primitive.ELLIPSOID, 0.3, 0.3, 0.3)
        one[Column.COLOR_B : Column.PATTERN], one[Column.PATTERN], one[Column.FREQUENCY] = 1, pattern, 4
        shares = object_color(torch.from_numpy(one[None]), points, torch.zeros(len(points), dtype=int))[:, 0]
        assert ((shares >= 0) & (shares <= 1)).all()
        if pattern == Pattern.SOLID:
            assert (shares == 0).all()
        else:
            assert 0.02 < shares.mean() < 0.98, pattern
    one[Column.PATTERN], one[Column.FREQUENCY], one[Column.AXIS] = Pattern.STRIPES, 2, 1  # along y, two stripes a unit
    ends = torch.tensor([[0.2, 0.1, 0.3], [0.2, 0.2, -0.3], [0.1, 0.3, 0], [0.3, 0.45, 0]])
    shares = object_color(torch.from_numpy(one[None]), ends, torch.zeros(4, dtype=int))[:, 0]
    assert shares.tolist() == [1, 1, 0, 0]


def copies(one, *matrices):
    """The union of a primitive under 3x3 matrices, by brute force."""
    return np.min([distance(one, POINTS @ np.asarray(matrix)) for matrix in matrices], 0)


@pytest.mark.parametrize(
    ("mirror", "signs"),
    [(Mirror.X, [(1, 1), (-1, 1)]), (Mirror.Y, [(1, 1), (1, -1)]), (Mirror.XY, [(1, 1), (-1, 1), (1, -1), (-1, -1)])],
)
def test_mirror_gives_both_sides(mirror, signs):
    one = row(Primitive.ELLIPSOID, 0.1, 0.1, 0.1, center=(0.3, 0.25, 0.1))
    both = one.copy()
    both[Column.MIRROR] = mirror
    np.testing.assert_allclose(distance(both, POINTS), copies(one, *(np.diag([*s, 1]) for s in signs)), atol=1e-5)


@pytest.mark.parametrize("times", [2, 3, 5, 8])
def test_repetition_goes_all_around_z(times):
    one = row(Primitive.CAPSULE, 0.04, 0.04, 0.1, center=(0.35, 0, 0.05))
    many = one.copy()
    many[Column.REPEAT] = times
    expected = copies(one, *(rotation_z(360 * k / times) for k in range(times)))
    np.testing.assert_allclose(distance(many, POINTS), expected, atol=1e-5)

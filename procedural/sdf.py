"""Signed distance and color of a scene's primitives in PyTorch: the reference for ``procedural.triton_sdf``.

Distance formulas: Inigo Quilez, "Distance functions" (exact, except for the ellipsoid: the usual first-order bound) and
"Smooth minimum" (the quadratic polynomial).
"""

from __future__ import annotations

import math

import torch

from procedural.schema import Column, Mirror, Operation, Pattern, Primitive

FAR = 1e3
"""Distance to an empty scene."""


def object_distance(rows: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed distance to a scene, and which primitive decides it.

    ``rows`` (P, 32) float32, ``points`` (N, 3) in object space. Returns distances (N,) in object units, positive
    outside, and the index of the deciding primitive (N,) int64.
    """
    x, y, z = points.unbind(-1)
    distance = torch.full_like(x, FAR)
    owner = torch.zeros_like(x, dtype=torch.long)
    for index, row in enumerate(rows):
        current = _primitive_distance(row, *_to_local(row, x, y, z))
        operation, blend = int(row[Column.OPERATION]), row[Column.BLEND].clamp_min(1e-6)
        if operation == Operation.UNION:
            owner = torch.where(current < distance, index, owner)
            overlap = (blend - (distance - current).abs()).clamp_min(0)
            distance = torch.minimum(distance, current) - overlap * overlap / (4 * blend)
        else:
            current = -current if operation == Operation.SUBTRACT else current
            owner = torch.where(current > distance, index, owner)
            overlap = (blend - (distance - current).abs()).clamp_min(0)
            distance = torch.maximum(distance, current) + overlap * overlap / (4 * blend)
    return distance, owner


def object_color(rows: torch.Tensor, points: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Albedo (N, 3) sRGB of object-space points (N, 3) that belong to the primitives ``owner`` (N,)."""
    color = torch.zeros_like(points)
    for index, row in enumerate(rows):
        owned = owner == index
        if not owned.any():
            continue
        local = torch.stack(_to_local(row, *points[owned].unbind(-1)), -1)
        pattern, wave = int(row[Column.PATTERN]), 2 * math.pi * row[Column.FREQUENCY]
        mix = torch.zeros(len(local), dtype=points.dtype, device=points.device)
        if pattern == Pattern.STRIPES:
            mix = (torch.sin(wave * local[:, int(row[Column.AXIS])]) > 0).to(points.dtype)
        elif pattern == Pattern.CHECKS:
            mix = (torch.sin(wave * local + 0.5).prod(-1) > 0).to(points.dtype)
        elif pattern == Pattern.DOTS:
            mix = (torch.cos(wave * local).sum(-1) > 1.3).to(points.dtype)
        elif pattern == Pattern.GRADIENT:
            mix = (0.5 + 0.5 * local[:, 2] / row[Column.C].clamp_min(1e-3)).clamp(0, 1)
        elif pattern == Pattern.NOISE:
            bend = 2 * torch.sin(wave * (0.7 * local[:, 1] + 0.4 * local[:, 2]))
            mix = 0.5 + 0.5 * torch.sin(wave * local[:, 0] + bend)
        first, second = row[Column.COLOR_A : Column.COLOR_B], row[Column.COLOR_B : Column.PATTERN]
        color[owned] = first + mix[:, None] * (second - first)
    return color


def _to_local(row, x, y, z):
    """Object-space points -> the primitive's own frame, through its mirror and its repetition."""
    mirror, repeat = int(row[Column.MIRROR]), int(row[Column.REPEAT])
    if mirror in (Mirror.X, Mirror.XY):
        x = x.abs()
    if mirror in (Mirror.Y, Mirror.XY):
        y = y.abs()
    if repeat > 1:
        sector = 2 * math.pi / repeat
        angle = torch.atan2(y, x)
        angle = angle - sector * torch.floor(angle / sector + 0.5)
        radius = torch.hypot(x, y)
        x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    center, rotation = row[Column.CENTER : Column.ROTATION], row[Column.ROTATION : Column.OPERATION]
    x, y, z = x - center[0], y - center[1], z - center[2]
    return (
        rotation[0] * x + rotation[1] * y + rotation[2] * z,
        rotation[3] * x + rotation[4] * y + rotation[5] * z,
        rotation[6] * x + rotation[7] * y + rotation[8] * z,
    )


def _primitive_distance(row, x, y, z):
    """Signed distance of local points to the primitive of one row (32,)."""
    kind = int(row[Column.KIND])
    a, b, c = row[Column.A], row[Column.B], row[Column.C]
    rounding, half_depth = row[Column.ROUNDING], row[Column.HALF_DEPTH]
    if kind == Primitive.ELLIPSOID:
        return _ellipsoid(x, y, z, a, b, c)
    if kind == Primitive.BOX:
        qx, qy, qz = x.abs() - a + rounding, y.abs() - b + rounding, z.abs() - c + rounding
        outside = torch.sqrt(qx.clamp_min(0) ** 2 + qy.clamp_min(0) ** 2 + qz.clamp_min(0) ** 2)
        return outside + torch.maximum(torch.maximum(qx, qy), qz).clamp_max(0) - rounding
    if kind == Primitive.CONE:
        return _trapezoid(torch.hypot(x, y), z, a - rounding, b - rounding, c - rounding) - rounding
    if kind == Primitive.TORUS:
        return _torus_arc(x, y, z, a, b, c)
    if kind == Primitive.CAPSULE:
        return _capsule(x, y, z, a, b, c)
    profile = _trapezoid(x.abs(), z, a - rounding, b - rounding, c - rounding)
    side = y.abs() - half_depth + rounding
    outside = torch.hypot(profile.clamp_min(0), side.clamp_min(0))
    return outside + torch.maximum(profile, side).clamp_max(0) - rounding


def _ellipsoid(x, y, z, a, b, c):
    first = torch.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    second = torch.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2).clamp_min(1e-9)
    return torch.where(first < 1e-4, -torch.minimum(torch.minimum(a, b), c), first * (first - 1) / second)


def _torus_arc(x, y, z, major, minor, half_angle):
    y = y.abs()
    sin, cos = torch.sin(half_angle), torch.cos(half_angle)
    reach = torch.where(cos * y > sin * x, sin * y + cos * x, torch.hypot(x, y))
    return torch.sqrt((x * x + y * y + z * z + major * major - 2 * major * reach).clamp_min(0)) - minor


def _capsule(x, y, z, low, high, half):
    radial, z = torch.hypot(x, y), z + half
    slope = ((low - high) / (2 * half)).clamp(-0.999, 0.999)
    across = torch.sqrt(1 - slope * slope)
    along = -slope * radial + across * z
    middle = radial * across + z * slope - low
    top = torch.hypot(radial, z - 2 * half) - high
    return torch.where(along < 0, torch.hypot(radial, z) - low, torch.where(along > across * 2 * half, top, middle))


def _trapezoid(x, z, low, high, half):
    """Signed distance of (x >= 0, z) to a symmetric trapezoid: half widths ``low`` at -half and ``high`` at +half."""
    cap_x = x - torch.minimum(x, torch.where(z < 0, low, high))
    cap_z = z.abs() - half
    edge_x, edge_z = high - low, 2 * half
    along = ((high - x) * edge_x + (half - z) * edge_z) / (edge_x * edge_x + edge_z * edge_z)
    along = along.clamp(0, 1)
    side_x, side_z = x - high + edge_x * along, z - half + edge_z * along
    squared = torch.minimum(cap_x**2 + cap_z**2, side_x**2 + side_z**2)
    return torch.where((side_x < 0) & (cap_z < 0), -squared.sqrt(), squared.sqrt())

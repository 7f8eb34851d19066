"""Procedural scenes with an exactly known surface: the ground truth of the benchmark and of the training.

A scene is a list of primitives combined in order (columns below), evaluated in object space (Z up, front on -Y) and
placed in the world by a yaw, a scale and an offset. ``training/render.py`` holds the same function for the GPU.
Distance formulas: Inigo Quilez's catalog of exact primitives; the ellipsoid's is the usual first-order bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

ELLIPSOID, BOX, CONE, TORUS, CAPSULE, PRISM = range(6)
UNION, SUBTRACT, INTERSECT = range(3)
SOLID, STRIPES, CHECKS, DOTS, GRADIENT, NOISE = range(6)
COLUMNS = 32
"""kind, a, b, c, rounding, depth, center x 3, world-to-local rotation x 9, operation, blend, color A x 3,
color B x 3, pattern, frequency, axis, mirror, repeat, unused."""
FAR = 1e3
HELD_OUT = Path(__file__).parent / "held_out.npz"


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


def _primitive(row, x, y, z):
    """Signed distance of local points to one primitive (row is a (32,) tensor)."""
    kind = int(row[0])
    a, b, c, rounding, depth = row[1], row[2], row[3], row[4], row[5]
    if kind == ELLIPSOID:
        first = torch.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
        second = torch.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2).clamp_min(1e-9)
        return torch.where(first < 1e-4, -torch.minimum(torch.minimum(a, b), c), first * (first - 1) / second)
    if kind == BOX:
        qx, qy, qz = x.abs() - a + rounding, y.abs() - b + rounding, z.abs() - c + rounding
        outside = torch.sqrt(qx.clamp_min(0) ** 2 + qy.clamp_min(0) ** 2 + qz.clamp_min(0) ** 2)
        return outside + torch.maximum(torch.maximum(qx, qy), qz).clamp_max(0) - rounding
    if kind == CONE:
        return _trapezoid(torch.hypot(x, y), z, a - rounding, b - rounding, c - rounding) - rounding
    if kind == TORUS:
        y = y.abs()
        sin, cos = torch.sin(c), torch.cos(c)
        reach = torch.where(cos * y > sin * x, sin * y + cos * x, torch.hypot(x, y))
        return torch.sqrt((x * x + y * y + z * z + a * a - 2 * a * reach).clamp_min(0)) - b
    if kind == CAPSULE:
        radial, z = torch.hypot(x, y), z + c
        slope = ((a - b) / (2 * c)).clamp(-0.999, 0.999)
        across = torch.sqrt(1 - slope * slope)
        along = -slope * radial + across * z
        middle = radial * across + z * slope - a
        top = torch.hypot(radial, z - 2 * c) - b
        return torch.where(along < 0, torch.hypot(radial, z) - a, torch.where(along > across * 2 * c, top, middle))
    flat = _trapezoid(x.abs(), z, a - rounding, b - rounding, c - rounding)
    thick = y.abs() - depth + rounding
    outside = torch.hypot(flat.clamp_min(0), thick.clamp_min(0))
    return outside + torch.maximum(flat, thick).clamp_max(0) - rounding


def _local(row, x, y, z):
    """Object-space points -> the primitive's own frame, through its mirror and its repetition."""
    mirror, repeat = int(row[29]), int(row[30])
    if mirror in (1, 3):
        x = x.abs()
    if mirror in (2, 3):
        y = y.abs()
    if repeat > 1:
        sector = 2 * math.pi / repeat
        angle = torch.atan2(y, x)
        angle = angle - sector * torch.floor(angle / sector + 0.5)
        radius = torch.hypot(x, y)
        x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    x, y, z = x - row[6], y - row[7], z - row[8]
    turn = row[9:18]
    return (
        turn[0] * x + turn[1] * y + turn[2] * z,
        turn[3] * x + turn[4] * y + turn[5] * z,
        turn[6] * x + turn[7] * y + turn[8] * z,
    )


def object_distance(rows: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Object-space points (N, 3) -> signed distance (N,) and the index of the primitive that decides it (N,)."""
    x, y, z = points.unbind(-1)
    distance = torch.full_like(x, FAR)
    owner = torch.zeros_like(x, dtype=torch.long)
    for index, row in enumerate(rows):
        part = _primitive(row, *_local(row, x, y, z))
        operation, blend = int(row[18]), row[19].clamp_min(1e-6)
        if operation == UNION:
            owner = torch.where(part < distance, index, owner)
            overlap = (blend - (distance - part).abs()).clamp_min(0)
            distance = torch.minimum(distance, part) - overlap * overlap / (4 * blend)
        else:
            part = -part if operation == SUBTRACT else part
            owner = torch.where(part > distance, index, owner)
            overlap = (blend - (distance - part).abs()).clamp_min(0)
            distance = torch.maximum(distance, part) + overlap * overlap / (4 * blend)
    return distance, owner


def object_color(rows: torch.Tensor, points: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Albedo (N, 3) sRGB of object-space points (N, 3) that belong to primitives ``owner`` (N,)."""
    color = torch.zeros_like(points)
    for index, row in enumerate(rows):
        mine = owner == index
        if not mine.any():
            continue
        local = torch.stack(_local(row, *points[mine].unbind(-1)), -1)
        pattern, wave = int(row[26]), 2 * math.pi * row[27]
        mix = torch.zeros(len(local), dtype=points.dtype, device=points.device)
        if pattern == STRIPES:
            mix = (torch.sin(wave * local[:, int(row[28])]) > 0).to(points.dtype)
        elif pattern == CHECKS:
            mix = (torch.sin(wave * local + 0.5).prod(-1) > 0).to(points.dtype)
        elif pattern == DOTS:
            mix = (torch.cos(wave * local).sum(-1) > 1.3).to(points.dtype)
        elif pattern == GRADIENT:
            mix = (0.5 + 0.5 * local[:, 2] / row[3].clamp_min(1e-3)).clamp(0, 1)
        elif pattern == NOISE:
            bend = 2 * torch.sin(wave * (0.7 * local[:, 1] + 0.4 * local[:, 2]))
            mix = 0.5 + 0.5 * torch.sin(wave * local[:, 0] + bend)
        color[mine] = row[20:23] + mix[:, None] * (row[23:26] - row[20:23])
    return color


@dataclass(frozen=True)
class Scene:
    """One placed scene in world space (docs/architecture.md): the input camera stands at azimuth 0, ``elevation``."""

    name: str
    family: str
    group: str
    """``seed``: a held-out seed of a training family; ``family``: a family never trained on."""
    elevation: float
    rows: np.ndarray
    """(P, 32) float32."""
    placement: np.ndarray
    """(6,) float32: scale, offset x 3, cos yaw, sin yaw."""
    light: np.ndarray
    """(4,) float32: unit direction towards the light, ambient share."""
    half_side: float = field(default=0.6)

    def _object_space(self, points: np.ndarray) -> torch.Tensor:
        scale, ox, oy, oz, cos, sin = (float(value) for value in self.placement)
        moved = (torch.from_numpy(np.ascontiguousarray(points, np.float32)) - torch.tensor([ox, oy, oz])) / scale
        x, y, z = moved.unbind(-1)
        return torch.stack([cos * x + sin * y, cos * y - sin * x, z], -1)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) -> signed distance (P,) in world units, positive outside."""
        found, _ = object_distance(torch.from_numpy(self.rows), self._object_space(points))
        return (found * float(self.placement[0])).numpy()

    def color(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) on the surface -> albedo (P, 3) sRGB 0..1."""
        rows, local = torch.from_numpy(self.rows), self._object_space(points)
        _, owner = object_distance(rows, local)
        return object_color(rows, local, owner).clamp(0, 1).numpy()

    def shade(self, albedo: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Albedo (P, 3) and unit world normals (P, 3) -> color (P, 3) under the scene's soft light."""
        ambient = self.light[3]
        lit = 0.75 * np.clip(normals @ self.light[:3], 0, None) + 0.25 * (0.5 + 0.5 * normals[:, 2])
        return albedo * (ambient + (1 - ambient) * lit)[:, None]


def load_held_out() -> list[Scene]:
    """The fixed, published list of held-out scenes (written by ``training/held_out.py``)."""
    with np.load(HELD_OUT, allow_pickle=False) as stored:
        data = {key: stored[key] for key in stored.files}
    return [
        Scene(
            name=str(data["name"][i]),
            family=str(data["family"][i]),
            group=str(data["group"][i]),
            elevation=float(data["elevation"][i]),
            rows=data["rows"][i, : data["count"][i]],
            placement=data["placement"][i],
            light=data["light"][i],
        )
        for i in range(len(data["name"]))
    ]

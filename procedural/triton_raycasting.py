"""Sphere tracing of one ray per lane, in Triton: shared by the renderer and the depth maps."""

# Triton declares constexpr where a kernel takes a plain value, and no iteration over tl.static_range.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from procedural.triton_sdf import scene_distance, to_object

REACH = 1.06
"""Rays are traced within this distance of the origin: half the diagonal of the cube that holds every scene."""
STEPS = 56
"""Steps a ray takes at most."""


@triton.jit
def trace(
    rows, count, transform, scale, ox, oy, oz, dx, dy, dz,
    STEPS: tl.constexpr, REACH: tl.constexpr, RADIUS: tl.constexpr,
):  # fmt: skip
    """Rays from cameras at distance RADIUS, unit directions -> where they stop, and whether on the surface.

    Returns the distance along each ray (world units) and a boolean per lane.
    """
    t = dx * 0 + (RADIUS - REACH)
    distance = dx * 0 + 1.0
    step = 0
    alive = 1
    while (step < STEPS) & (alive > 0):
        x, y, z = to_object(transform, ox + t * dx, oy + t * dy, oz + t * dz)
        distance, _ = scene_distance(rows, count, x, y, z)
        distance = distance * scale
        moving = (distance > 1e-4) & (t < RADIUS + REACH)
        t = tl.where(moving, t + distance, t)
        alive = tl.max(moving.to(tl.int32), axis=0)
        step += 1
    return t, (distance < 4e-3) & (t < RADIUS + REACH)

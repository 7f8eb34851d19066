"""How far away the surface is that a pixel sees, and where its ray leaves the object again, in Triton.

The surface network's depth features learn both: what is near, and how thick it is.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from backend.camera import FOCAL, RADIUS
from procedural.triton_renderer import BLOCK, REACH, STEPS, Scenes, _scene, _to_object

BEYOND = 2.0
"""The depth of pixels that show no object: behind everything."""
SKIN = 4e-3
"""How far a ray goes into the object (world units) before it looks for the way out."""


@triton.jit
def _depth_kernel(
    rows, counts, placement, cameras, out, stride, views,
    SIZE: tl.constexpr, STEPS: tl.constexpr, REACH: tl.constexpr, SKIN: tl.constexpr, N: tl.constexpr,
    FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF: tl.constexpr, BEYOND: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1)
    pixel = tl.program_id(0) * N + tl.arange(0, N)
    scene = view // views
    mine = rows + scene * stride
    place = placement + scene * 6
    count = tl.load(counts + scene)
    scale = tl.load(place)
    cam = cameras + view * 16
    right = ((pixel % SIZE + 0.5) / SIZE - 0.5) / FOCAL
    up = (0.5 - (pixel // SIZE + 0.5) / SIZE) / FOCAL
    ahead = 1 / tl.sqrt(right * right + up * up + 1)
    right, up = right * ahead, up * ahead
    dx = right * tl.load(cam) + up * tl.load(cam + 1) - ahead * tl.load(cam + 2)
    dy = right * tl.load(cam + 4) + up * tl.load(cam + 5) - ahead * tl.load(cam + 6)
    dz = right * tl.load(cam + 8) + up * tl.load(cam + 9) - ahead * tl.load(cam + 10)
    ox, oy, oz = tl.load(cam + 3), tl.load(cam + 7), tl.load(cam + 11)
    t = right * 0 + (RADIUS - REACH)
    distance = right * 0 + 1.0
    step = 0
    alive = 1
    while (step < STEPS) & (alive > 0):
        x, y, z = _to_object(place, ox + t * dx, oy + t * dy, oz + t * dz)
        distance, _ = _scene(mine, count, x, y, z)
        distance = distance * scale
        moving = (distance > 1e-4) & (t < RADIUS + REACH)
        t = tl.where(moving, t + distance, t)
        alive = tl.max(moving.to(tl.int32), axis=0)
        step += 1
    hit = (distance < 4e-3) & (t < RADIUS + REACH)
    u = t + SKIN
    step = 0
    alive = tl.max(hit.to(tl.int32), axis=0)
    while (step < STEPS) & (alive > 0):
        x, y, z = _to_object(place, ox + u * dx, oy + u * dy, oz + u * dz)
        distance, _ = _scene(mine, count, x, y, z)
        inside = hit & (distance < 0) & (u < RADIUS + REACH)
        u = tl.where(inside, u + tl.maximum(-distance * scale, SKIN / 2), u)
        alive = tl.max(inside.to(tl.int32), axis=0)
        step += 1
    to = out + (view.to(tl.int64) * SIZE * SIZE + pixel) * 2
    tl.store(to, tl.where(hit, (t * ahead - RADIUS) / HALF, BEYOND))
    tl.store(to + 1, tl.where(hit, (u * ahead - RADIUS) / HALF, BEYOND))


def depths(scenes: Scenes, cameras: torch.Tensor, size: int, half_side: float) -> torch.Tensor:
    """Where rays through pixel centers enter the object and first leave it: (B, V, size, size, 2) float16.

    ``cameras`` (B, V, 4, 4). Depths are along the camera's axis, in half sides of the volume from the origin's, so that
    -1..1 is about the volume; ``BEYOND`` where a pixel shows no object.
    """
    batch, views = cameras.shape[:2]
    cameras = cameras.float().contiguous()
    out = torch.empty(batch, views, size, size, 2, dtype=torch.half, device=cameras.device)
    _depth_kernel[(size * size // BLOCK, batch * views)](
        scenes.rows, scenes.counts, scenes.placement, cameras, out, scenes.rows.shape[1] * 32, views,
        SIZE=size, STEPS=STEPS, REACH=REACH, SKIN=SKIN, N=BLOCK, FOCAL=FOCAL, RADIUS=RADIUS, HALF=half_side,
        BEYOND=BEYOND,
    )  # fmt: skip
    return out

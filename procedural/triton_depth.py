"""Depth maps in Triton: where a pixel's ray enters the object, and where it first leaves it again.

They supervise the surface network's depth features: how near the surface is, and how thick the object.
"""

# Triton declares constexpr where a kernel takes a plain value, and no iteration over tl.static_range.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import torch
import triton
import triton.language as tl

from backend.camera import FOCAL, RADIUS
from procedural.schema import TRANSFORM_LENGTH
from procedural.triton_raycasting import REACH, STEPS, trace
from procedural.triton_renderer import BLOCK, Scenes
from procedural.triton_sdf import scene_distance, to_object

BEYOND = 2.0
"""The depth of pixels that show no object: behind everything."""
ENTRY_OFFSET = 4e-3
"""How far inside the object (world units) the search for the exit begins."""


@triton.jit
def _depth_kernel(
    rows, counts, transforms, cameras, out, row_stride, views,
    SIZE: tl.constexpr, STEPS: tl.constexpr, REACH: tl.constexpr, ENTRY_OFFSET: tl.constexpr, N: tl.constexpr,
    FOCAL: tl.constexpr, RADIUS: tl.constexpr, HALF_SIDE: tl.constexpr, BEYOND: tl.constexpr,
    TRANSFORM_LENGTH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1)
    pixel = tl.program_id(0) * N + tl.arange(0, N)
    scene = view // views
    scene_rows = rows + scene * row_stride
    transform = transforms + scene * TRANSFORM_LENGTH
    count = tl.load(counts + scene)
    scale = tl.load(transform)
    camera = cameras + view * 16
    right = ((pixel % SIZE + 0.5) / SIZE - 0.5) / FOCAL
    up = (0.5 - (pixel // SIZE + 0.5) / SIZE) / FOCAL
    ahead = 1 / tl.sqrt(right * right + up * up + 1)
    right, up = right * ahead, up * ahead
    dx = right * tl.load(camera) + up * tl.load(camera + 1) - ahead * tl.load(camera + 2)
    dy = right * tl.load(camera + 4) + up * tl.load(camera + 5) - ahead * tl.load(camera + 6)
    dz = right * tl.load(camera + 8) + up * tl.load(camera + 9) - ahead * tl.load(camera + 10)
    ox, oy, oz = tl.load(camera + 3), tl.load(camera + 7), tl.load(camera + 11)
    near, hit = trace(scene_rows, count, transform, scale, ox, oy, oz, dx, dy, dz, STEPS, REACH, RADIUS)
    far = near + ENTRY_OFFSET
    step = 0
    alive = tl.max(hit.to(tl.int32), axis=0)
    while (step < STEPS) & (alive > 0):
        x, y, z = to_object(transform, ox + far * dx, oy + far * dy, oz + far * dz)
        distance, _ = scene_distance(scene_rows, count, x, y, z)
        inside = hit & (distance < 0) & (far < RADIUS + REACH)
        far = tl.where(inside, far + tl.maximum(-distance * scale, ENTRY_OFFSET / 2), far)
        alive = tl.max(inside.to(tl.int32), axis=0)
        step += 1
    output = out + (view.to(tl.int64) * SIZE * SIZE + pixel) * 2
    tl.store(output, tl.where(hit, (near * ahead - RADIUS) / HALF_SIDE, BEYOND))
    tl.store(output + 1, tl.where(hit, (far * ahead - RADIUS) / HALF_SIDE, BEYOND))


def depths(scenes: Scenes, cameras: torch.Tensor, size: int, half_side: float) -> torch.Tensor:
    """Depths at which rays through pixel centers enter the object and first leave it: (B, V, size, size, 2) float16.

    ``cameras`` (B, V, 4, 4). Depths run along the camera's axis, relative to the world's origin and in units of
    ``half_side``, so that -1..1 is about the volume; ``BEYOND`` where a pixel shows no object.
    """
    batch, views = cameras.shape[:2]
    cameras = cameras.float().contiguous()
    out = torch.empty(batch, views, size, size, 2, dtype=torch.half, device=cameras.device)
    _depth_kernel[(size * size // BLOCK, batch * views)](  # pyright: ignore[reportIndexIssue]
        scenes.rows, scenes.counts, scenes.object_to_world, cameras, out, scenes.row_stride, views,
        SIZE=size, STEPS=STEPS, REACH=REACH, ENTRY_OFFSET=ENTRY_OFFSET, N=BLOCK, FOCAL=FOCAL, RADIUS=RADIUS,
        HALF_SIDE=half_side, BEYOND=BEYOND, TRANSFORM_LENGTH=TRANSFORM_LENGTH,
    )  # fmt: skip
    return out

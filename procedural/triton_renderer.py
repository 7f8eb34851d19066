"""Batches of scenes on the GPU: images by sphere tracing and exact distances, in Triton.

One program of the renderer traces one tile of one view.
"""

# Triton declares constexpr where a kernel takes a plain value, and no iteration over tl.static_range.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import triton
import triton.language as tl

from backend.camera import FOCAL, RADIUS
from procedural.schema import LIGHT_LENGTH, ROW_LENGTH, TRANSFORM_LENGTH, pad_rows
from procedural.triton_raycasting import REACH, STEPS, trace
from procedural.triton_sdf import scene_color, scene_distance, to_object

TILE = 16
"""Pixels along a side of a tile; image sizes are multiples of it."""
BLOCK = TILE * TILE
"""Points or rays per program."""
NORMAL_STEP = 2e-3
"""How far around a point its normal is measured, along each axis in world units."""


@triton.jit
def _distance_kernel(
    rows, counts, transforms, points, distances, colors, number, row_stride,
    COLOR: tl.constexpr, N: tl.constexpr, TRANSFORM_LENGTH: tl.constexpr,
):  # fmt: skip
    scene = tl.program_id(1)
    index = tl.program_id(0) * N + tl.arange(0, N)
    inside = index < number
    output = scene.to(tl.int64) * number + index
    point = points + output * 3
    x = tl.load(point, mask=inside, other=0.0)
    y = tl.load(point + 1, mask=inside, other=0.0)
    z = tl.load(point + 2, mask=inside, other=0.0)
    transform = transforms + scene * TRANSFORM_LENGTH
    x, y, z = to_object(transform, x, y, z)
    scene_rows = rows + scene * row_stride
    count = tl.load(counts + scene)
    distance, owner = scene_distance(scene_rows, count, x, y, z)
    tl.store(distances + output, distance * tl.load(transform), mask=inside)
    if COLOR:
        red, green, blue = scene_color(scene_rows, count, owner, x, y, z)
        tl.store(colors + output * 3, red, mask=inside)
        tl.store(colors + output * 3 + 1, green, mask=inside)
        tl.store(colors + output * 3 + 2, blue, mask=inside)


@triton.jit
def _render_kernel(
    rows, counts, transforms, lights, cameras, scenes, out, row_stride,
    SIZE: tl.constexpr, SUBPIXELS: tl.constexpr, STEPS: tl.constexpr, REACH: tl.constexpr, TILE: tl.constexpr,
    FOCAL: tl.constexpr, RADIUS: tl.constexpr, TRANSFORM_LENGTH: tl.constexpr, LIGHT_LENGTH: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1)
    tiles = SIZE // TILE
    tile = tl.program_id(0)
    lane = tl.arange(0, TILE * TILE)
    column = (tile % tiles) * TILE + lane % TILE
    line = (tile // tiles) * TILE + lane // TILE
    scene = tl.load(scenes + view)
    scene_rows = rows + scene * row_stride
    transform = transforms + scene * TRANSFORM_LENGTH
    light = lights + scene * LIGHT_LENGTH
    count = tl.load(counts + scene)
    scale = tl.load(transform)
    camera = cameras + view * 12
    total_r = column.to(tl.float32) * 0
    total_g = total_r
    total_b = total_r
    total_a = total_r
    for subpixel in range(SUBPIXELS * SUBPIXELS):
        right = ((column + (subpixel % SUBPIXELS + 0.5) / SUBPIXELS) / SIZE - 0.5) / FOCAL
        up = (0.5 - (line + (subpixel // SUBPIXELS + 0.5) / SUBPIXELS) / SIZE) / FOCAL
        ahead = 1 / tl.sqrt(right * right + up * up + 1)
        right, up = right * ahead, up * ahead
        dx = right * tl.load(camera) + up * tl.load(camera + 3) - ahead * tl.load(camera + 6)
        dy = right * tl.load(camera + 1) + up * tl.load(camera + 4) - ahead * tl.load(camera + 7)
        dz = right * tl.load(camera + 2) + up * tl.load(camera + 5) - ahead * tl.load(camera + 8)
        ox, oy, oz = tl.load(camera + 9), tl.load(camera + 10), tl.load(camera + 11)
        t, hit = trace(scene_rows, count, transform, scale, ox, oy, oz, dx, dy, dz, STEPS, REACH, RADIUS)
        if tl.max(hit.to(tl.int32), axis=0) > 0:
            wx, wy, wz = ox + t * dx, oy + t * dy, oz + t * dz
            x, y, z = to_object(transform, wx, wy, wz)
            e = 1e-3
            _s0, owner = scene_distance(scene_rows, count, x, y, z)
            red, green, blue = scene_color(scene_rows, count, owner, x, y, z)
            ax, ay, az = to_object(transform, wx + e, wy - e, wz - e)
            s1, _ = scene_distance(scene_rows, count, ax, ay, az)
            ax, ay, az = to_object(transform, wx - e, wy - e, wz + e)
            s2, _ = scene_distance(scene_rows, count, ax, ay, az)
            ax, ay, az = to_object(transform, wx - e, wy + e, wz - e)
            s3, _ = scene_distance(scene_rows, count, ax, ay, az)
            ax, ay, az = to_object(transform, wx + e, wy + e, wz + e)
            s4, _ = scene_distance(scene_rows, count, ax, ay, az)
            nx = s1 - s2 - s3 + s4
            ny = s3 - s1 - s2 + s4
            nz = s2 - s1 - s3 + s4
            norm = 1 / tl.maximum(tl.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
            lambert = (nx * tl.load(light) + ny * tl.load(light + 1) + nz * tl.load(light + 2)) * norm
            lit = 0.75 * tl.maximum(lambert, 0.0) + 0.25 * (0.5 + 0.5 * nz * norm)
            ambient = tl.load(light + 3)
            shade = ambient + (1 - ambient) * lit
            total_r += tl.where(hit, tl.minimum(red * shade, 1.0), 1.0)
            total_g += tl.where(hit, tl.minimum(green * shade, 1.0), 1.0)
            total_b += tl.where(hit, tl.minimum(blue * shade, 1.0), 1.0)
            total_a += tl.where(hit, 1.0, 0.0)
        else:
            total_r += 1.0
            total_g += 1.0
            total_b += 1.0
    weight = 255.0 / (SUBPIXELS * SUBPIXELS)
    pixel = out + ((view.to(tl.int64) * SIZE + line) * SIZE + column) * 4
    tl.store(pixel, (total_r * weight + 0.5).to(tl.uint8))
    tl.store(pixel + 1, (total_g * weight + 0.5).to(tl.uint8))
    tl.store(pixel + 2, (total_b * weight + 0.5).to(tl.uint8))
    tl.store(pixel + 3, (total_a * weight + 0.5).to(tl.uint8))


class Scenes:
    """A batch of B scenes on one device: the fields of ``procedural.scene.Scene``, padded to P rows.

    rows (B, P, 32), counts (B,) rows in use, object_to_world (B, 6), light (B, 4).
    """

    def __init__(self, rows, counts, object_to_world, light, device):
        self.rows = torch.as_tensor(rows, dtype=torch.float32, device=device).contiguous()
        self.counts = torch.as_tensor(counts, dtype=torch.int32, device=device).contiguous()
        self.object_to_world = torch.as_tensor(object_to_world, dtype=torch.float32, device=device).contiguous()
        self.light = torch.as_tensor(light, dtype=torch.float32, device=device).contiguous()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index) -> Scenes:
        rows, counts = self.rows[index], self.counts[index]
        return Scenes(rows, counts, self.object_to_world[index], self.light[index], self.rows.device)

    def distance(self, points: torch.Tensor, color: bool = False):
        """World points (B, N, 3) -> signed distances (B, N) in world units [and albedo (B, N, 3) sRGB 0..1]."""
        points = points.contiguous()
        batch, number, _ = points.shape
        distances = torch.empty(batch, number, device=points.device)
        colors = torch.empty(batch, number, 3, device=points.device) if color else distances
        grid = (triton.cdiv(number, BLOCK), batch)
        _distance_kernel[grid](  # pyright: ignore[reportIndexIssue] - Triton types no launches
            self.rows, self.counts, self.object_to_world, points, distances, colors, number, self.row_stride,
            COLOR=color, N=BLOCK, TRANSFORM_LENGTH=TRANSFORM_LENGTH,
        )  # fmt: skip
        return (distances, colors) if color else distances

    def normals(self, points: torch.Tensor) -> torch.Tensor:
        """Unit vectors (B, N, 3) in which the distance grows at world points (B, N, 3)."""
        taps = points.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * NORMAL_STEP
        around = self.distance((points[:, :, None] + taps).flatten(1, 2))
        assert isinstance(around, torch.Tensor)
        around = around.unflatten(1, (-1, 4))
        return torch.nn.functional.normalize((around[..., None] * taps).sum(2), dim=-1)

    def render(
        self, camera_to_world: torch.Tensor, scenes: torch.Tensor, size: int, subpixels: int = 2
    ) -> torch.Tensor:
        """Images of the scenes with indices (V,) from cameras (V, 4, 4): (V, size, size, 4) uint8.

        The channels are sRGB on white and coverage; every pixel is the mean of ``subpixels`` x ``subpixels`` rays.
        """
        cameras = camera_to_world[:, :3, :].transpose(1, 2).reshape(-1, 12).float().contiguous()
        out = torch.empty(len(cameras), size, size, 4, dtype=torch.uint8, device=cameras.device)
        grid = ((size // TILE) ** 2, len(cameras))
        _render_kernel[grid](  # pyright: ignore[reportIndexIssue]
            self.rows, self.counts, self.object_to_world, self.light, cameras, scenes.int().contiguous(), out,
            self.row_stride, SIZE=size, SUBPIXELS=subpixels, STEPS=STEPS, REACH=REACH, TILE=TILE, FOCAL=FOCAL,
            RADIUS=RADIUS, TRANSFORM_LENGTH=TRANSFORM_LENGTH, LIGHT_LENGTH=LIGHT_LENGTH,
        )  # fmt: skip
        return out

    @property
    def row_stride(self) -> int:
        """Numbers from the first row of one scene to that of the next."""
        return self.rows.shape[1] * ROW_LENGTH


def from_numpy(scenes: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], device) -> Scenes:
    """[(rows (P, 32), object_to_world (6,), light (4,))] of unequal P -> one padded batch."""
    rows, transforms, lights = zip(*scenes, strict=True)
    return Scenes(
        pad_rows(rows), [len(scene_rows) for scene_rows in rows], np.stack(transforms), np.stack(lights), device
    )

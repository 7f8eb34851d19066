"""A rasterizer for batches of small triangle meshes, in Triton: brute force, no acceleration structure.

One program renders one tile of one view: it goes through the mesh's triangles in blocks, skips blocks and triangles
whose bounding boxes miss the tile, and keeps the nearest hit of every sample. With at most a few thousand triangles per
mesh this takes less time than building and walking a hierarchy would. Shading is that of the procedural scenes
(``procedural.triton_renderer``): one directional light, a sky, an ambient share. Objects without a pattern and tiles
without an object skip what patterns take, but every program keeps 48 registers a thread instead of 32 (compiled for an
H100; the time is not measured).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from backend.camera import FOCAL
from training.pattern_shading import LENGTH, pattern_color

TILE = 8
"""Side of a program's tile in pixels."""
SUBSAMPLES = 2
"""Samples along each side of a pixel."""
BLOCK = 64
"""Triangles whose bounding boxes are tested together."""


@dataclass(frozen=True)
class MeshBatch:
    """B meshes in world space, padded to F triangles; everything on one device."""

    triangles: torch.Tensor
    """(B, F, 3, 3) float32 corner positions."""
    normals: torch.Tensor
    """(B, F, 3, 3) float32 corner normals, on the side from which the corners run counter-clockwise; any length."""
    uvs: torch.Tensor
    """(B, F, 3, 2) float32 texture coordinates in 0..1, v upward."""
    counts: torch.Tensor
    """(B,) int32 triangles of each mesh."""
    second_counts: torch.Tensor
    """(B,) int32: how many of these, the last, are those of a second object joined to a first."""
    textures: torch.Tensor
    """(B, T, T, 3) uint8, top row first."""
    lights: torch.Tensor
    """(B, 4) float32: unit vector toward the light, and the share of ambient light."""
    color_transforms: torch.Tensor
    """(B, 3, 4) float32: matrix and offset applied to texture colors in 0..1."""
    own_triangles: torch.Tensor
    """(B, F, 3, 3) float32 corner positions in the objects' own spaces, in which their patterns are."""
    patterns: torch.Tensor
    """(B, 2, LENGTH) float32 of the first and the second object, see ``training.patterns``."""

    def __getitem__(self, rows: slice | torch.Tensor) -> MeshBatch:
        return MeshBatch(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))


@triton.jit
def _barycentric(corners, px, py):
    """Of the triangle at ``corners`` (one, or one for each sample): the samples' barycentric coordinates on the screen,
    the inverse depths of its three corners, and twice its signed area."""
    ax, ay, depth_a = tl.load(corners), tl.load(corners + 1), tl.load(corners + 2)
    bx, by, depth_b = tl.load(corners + 3), tl.load(corners + 4), tl.load(corners + 5)
    cx, cy, depth_c = tl.load(corners + 6), tl.load(corners + 7), tl.load(corners + 8)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    inverse = 1.0 / tl.where(tl.abs(area) < 1e-9, 1e-9, area)
    u = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
    v = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
    return u, v, 1 - u - v, depth_a, depth_b, depth_c, area


@triton.jit
def _nearest_triangle(triangles, boxes, count, stride, left, top, side, px, py, BLOCK: tl.constexpr):
    """Index of the nearest triangle that covers each sample (-1 where none does) and its inverse depth there."""
    nearest = px * 0
    owner = (px * 0).to(tl.int32) - 1
    lane = tl.arange(0, BLOCK)
    for start in range(0, count, BLOCK):
        index = start + lane
        valid = index < count
        low_x = tl.load(boxes + index, mask=valid, other=1e9)
        low_y = tl.load(boxes + stride + index, mask=valid, other=1e9)
        high_x = tl.load(boxes + 2 * stride + index, mask=valid, other=-1e9)
        high_y = tl.load(boxes + 3 * stride + index, mask=valid, other=-1e9)
        overlaps = (high_x >= left) & (low_x <= left + side) & (high_y >= top) & (low_y <= top + side)
        if tl.max(overlaps.to(tl.int32), axis=0) > 0:
            for face in range(start, tl.minimum(start + BLOCK, count)):
                if (
                    (tl.load(boxes + 2 * stride + face) >= left)
                    & (tl.load(boxes + face) <= left + side)
                    & (tl.load(boxes + 3 * stride + face) >= top)
                    & (tl.load(boxes + stride + face) <= top + side)
                ):
                    u, v, w, depth_a, depth_b, depth_c, _ = _barycentric(triangles + face * 9, px, py)
                    depth = u * depth_a + v * depth_b + w * depth_c
                    hit = (u >= 0) & (v >= 0) & (w >= 0) & (depth > nearest)
                    nearest = tl.where(hit, depth, nearest)
                    owner = tl.where(hit, face, owner)
    return owner, nearest


@triton.jit
def _depth_kernel(
    triangles, boxes, counts, scenes, out, stride, SIZE: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr
):
    view = tl.program_id(1).to(tl.int64)
    left = (tl.program_id(0) % (SIZE // TILE)) * TILE
    top = (tl.program_id(0) // (SIZE // TILE)) * TILE
    lane = tl.arange(0, TILE * TILE)
    column, row = left + lane % TILE, top + lane // TILE
    count = tl.load(counts + tl.load(scenes + view))
    _, nearest = _nearest_triangle(
        triangles + view * stride * 9, boxes + view * stride * 4, count, stride, left, top, TILE,
        column.to(tl.float32) + 0.5, row.to(tl.float32) + 0.5, BLOCK,
    )  # fmt: skip
    tl.store(out + (view * SIZE + row) * SIZE + column, 1 / nearest)


@triton.jit
def _interpolate(corner, step: tl.constexpr, a, b, c, hit):
    """A corner attribute at every sample, from perspective-correct barycentric weights."""
    first = tl.load(corner, mask=hit, other=0).to(tl.float32)
    second = tl.load(corner + step, mask=hit, other=0).to(tl.float32)
    third = tl.load(corner + 2 * step, mask=hit, other=0).to(tl.float32)
    return a * first + b * second + c * third


@triton.jit
def _shade_kernel(
    triangles, boxes, counts, second_counts, scenes, normals, uvs, textures, lights, transforms, own_triangles,
    patterns, out, stride,
    SIZE: tl.constexpr, SUB: tl.constexpr, TILE: tl.constexpr, TEXTURE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1).to(tl.int64)
    left = (tl.program_id(0) % (SIZE // TILE)) * TILE
    top = (tl.program_id(0) // (SIZE // TILE)) * TILE
    lane = tl.arange(0, TILE * TILE * SUB * SUB)  # a pixel's samples are neighbors
    sample, pixel = lane % (SUB * SUB), lane // (SUB * SUB)
    px = ((left + pixel % TILE) * SUB + sample % SUB).to(tl.float32) + 0.5
    py = ((top + pixel // TILE) * SUB + sample // SUB).to(tl.float32) + 0.5
    scene = tl.load(scenes + view).to(tl.int64)
    count = tl.load(counts + scene)
    triangles += view * stride * 9
    owner, nearest = _nearest_triangle(
        triangles, boxes + view * stride * 4, count, stride, left * SUB, top * SUB, TILE * SUB, px, py, BLOCK,
    )  # fmt: skip
    hit = owner >= 0
    face = tl.where(hit, owner, 0)
    u, v, w, depth_a, depth_b, depth_c, area = _barycentric(triangles + face * 9, px, py)
    depth = 1 / tl.where(hit, nearest, 1.0)
    a, b, c = u * depth_a * depth, v * depth_b * depth, w * depth_c * depth

    texture_u = _interpolate(uvs + (scene * stride + face) * 6, 2, a, b, c, hit)
    texture_v = _interpolate(uvs + (scene * stride + face) * 6 + 1, 2, a, b, c, hit)
    column = tl.minimum(tl.maximum((texture_u * TEXTURE).to(tl.int32), 0), TEXTURE - 1)
    row = tl.minimum(tl.maximum(((1 - texture_v) * TEXTURE).to(tl.int32), 0), TEXTURE - 1)
    texel = textures + ((scene * TEXTURE + row) * TEXTURE + column) * 3
    red = tl.load(texel, mask=hit, other=0).to(tl.float32) / 255
    green = tl.load(texel + 1, mask=hit, other=0).to(tl.float32) / 255
    blue = tl.load(texel + 2, mask=hit, other=0).to(tl.float32) / 255
    for which in range(2):
        pattern = patterns + (scene * 2 + which) * LENGTH
        if tl.load(pattern) > 0:
            owned = hit & ((face >= count - tl.load(second_counts + scene)) == (which == 1))
            if tl.max(owned.to(tl.int32), axis=0) > 0:
                own = own_triangles + (scene * stride + face) * 9
                x = _interpolate(own, 3, a, b, c, owned)
                y = _interpolate(own + 1, 3, a, b, c, owned)
                z = _interpolate(own + 2, 3, a, b, c, owned)
                new_r, new_g, new_b = pattern_color(pattern, x, y, z, red, green, blue)
                red, green = tl.where(owned, new_r, red), tl.where(owned, new_g, green)
                blue = tl.where(owned, new_b, blue)

    normal = normals + (scene * stride + face) * 9
    nx = _interpolate(normal, 3, a, b, c, hit)
    ny = _interpolate(normal + 1, 3, a, b, c, hit)
    nz = _interpolate(normal + 2, 3, a, b, c, hit)
    # The picture's y axis points down, so a triangle that shows its front runs clockwise there. Both sides are lit.
    facing = tl.where(area < 0, 1.0, -1.0) / tl.maximum(tl.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
    nx, ny, nz = nx * facing, ny * facing, nz * facing
    light = lights + scene * 4
    lambert = nx * tl.load(light) + ny * tl.load(light + 1) + nz * tl.load(light + 2)
    ambient = tl.load(light + 3)
    shade = ambient + (1 - ambient) * (0.75 * tl.maximum(lambert, 0.0) + 0.25 * (0.5 + 0.5 * nz))

    pixels = tl.arange(0, TILE * TILE)
    to = out + ((view * SIZE + top + pixels // TILE) * SIZE + left + pixels % TILE) * 4
    for channel in tl.static_range(3):
        m = transforms + scene * 12 + channel * 4
        color = tl.load(m) * red + tl.load(m + 1) * green + tl.load(m + 2) * blue + tl.load(m + 3)
        color = tl.minimum(tl.maximum(color, 0.0) * shade, 1.0)
        color = tl.sum(tl.reshape(tl.where(hit, color, 1.0), [TILE * TILE, SUB * SUB]), axis=1)
        tl.store(to + channel, (color * (255.0 / (SUB * SUB)) + 0.5).to(tl.uint8))
    coverage = tl.sum(tl.reshape(tl.where(hit, 1.0, 0.0), [TILE * TILE, SUB * SUB]), axis=1)
    tl.store(to + 3, (coverage * (255.0 / (SUB * SUB)) + 0.5).to(tl.uint8))


def _project(triangles: torch.Tensor, cameras: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """World triangles (B, F, 3, 3) and their cameras (B, V, 4, 4) -> corners (B, V, F, 3, 3) as (column, row, inverse
    depth) in samples, and bounding boxes (B, V, 4, F) as (low column, low row, high column, high row)."""
    local = triangles[:, None] - cameras[:, :, None, None, :3, 3]
    local = torch.einsum("bvfkc,bvcd->bvfkd", local, cameras[:, :, :3, :3])
    inverse_depth = 1 / (-local[..., 2]).clamp_min(0.05)
    column = (0.5 + FOCAL * local[..., 0] * inverse_depth) * size
    row = (0.5 - FOCAL * local[..., 1] * inverse_depth) * size
    boxes = torch.stack([column.amin(-1), row.amin(-1), column.amax(-1), row.amax(-1)], 2)
    return torch.stack([column, row, inverse_depth], -1).contiguous(), boxes.contiguous()


def _scene_of_view(cameras: torch.Tensor) -> torch.Tensor:
    batch, views = cameras.shape[:2]
    return torch.arange(batch, device=cameras.device, dtype=torch.int32).repeat_interleave(views)


def render_meshes(meshes: MeshBatch, cameras: torch.Tensor, size: int) -> torch.Tensor:
    """Cameras (B, V, 4, 4), camera to world -> (B, V, size, size, 4) uint8: color on white, and coverage."""
    batch, views = cameras.shape[:2]
    triangles, boxes = _project(meshes.triangles, cameras, size * SUBSAMPLES)
    out = torch.empty(batch, views, size, size, 4, dtype=torch.uint8, device=cameras.device)
    _shade_kernel[((size // TILE) ** 2, batch * views)](
        triangles, boxes, meshes.counts, meshes.second_counts, _scene_of_view(cameras), meshes.normals.contiguous(),
        meshes.uvs.contiguous(), meshes.textures.contiguous(), meshes.lights.contiguous(),
        meshes.color_transforms.contiguous(), meshes.own_triangles.contiguous(), meshes.patterns.contiguous(), out,
        meshes.triangles.shape[1],
        SIZE=size, SUB=SUBSAMPLES, TILE=TILE, TEXTURE=meshes.textures.shape[1], BLOCK=BLOCK,
    )  # fmt: skip
    return out


def render_depths(triangles: torch.Tensor, counts: torch.Tensor, cameras: torch.Tensor, size: int) -> torch.Tensor:
    """World triangles (B, F, 3, 3), their numbers (B,) int32 and cameras (B, V, 4, 4) -> depths along the cameras' axes
    (B, V, size, size) float32, infinite where nothing is hit."""
    batch, views = cameras.shape[:2]
    projected, boxes = _project(triangles, cameras, size)
    out = torch.empty(batch, views, size, size, device=cameras.device)
    _depth_kernel[((size // (2 * TILE)) ** 2, batch * views)](
        projected, boxes, counts, _scene_of_view(cameras), out, triangles.shape[1],
        SIZE=size, TILE=2 * TILE, BLOCK=BLOCK,
    )  # fmt: skip
    return out

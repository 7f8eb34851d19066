"""The scenes of ``backend.evaluate.scene`` on the GPU: pictures by sphere tracing and exact distances, in Triton.

One program traces one tile of one view; primitives are looped over inside, their kind is a scalar branch. A test runs
the kernels in Triton's interpreter against the plain PyTorch scene.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

from backend.camera import FOCAL, RADIUS

TILE = 16
BLOCK = TILE * TILE
STEPS = 56
REACH = 1.06
"""Rays are traced within this distance of the origin: half the diagonal of the cube every scene is placed in."""


@triton.jit
def _sin(x):
    return tl.sin(x.to(tl.float32))


@triton.jit
def _cos(x):
    return tl.cos(x.to(tl.float32))


@triton.jit
def _arctangent(y, x):
    """Angle of (x, y) in radians, error below 2e-6 (Triton has no atan2 that also runs in its interpreter)."""
    ax, ay = tl.abs(x), tl.abs(y)
    ratio = tl.minimum(ax, ay) / tl.maximum(tl.maximum(ax, ay), 1e-20)
    s = ratio * ratio
    angle = ((-0.0464964749 * s + 0.15931422) * s - 0.327622764) * s * ratio + ratio
    # one Newton step on tan(angle) = ratio takes the polynomial from 1e-4 to float precision
    sin, cos = _sin(angle), _cos(angle)
    angle = angle - (sin - ratio * cos) * cos
    angle = tl.where(ay > ax, 1.5707963267948966 - angle, angle)
    angle = tl.where(x < 0, 3.141592653589793 - angle, angle)
    return tl.where(y < 0, -angle, angle)


@triton.jit
def _trapezoid(x, z, low, high, half):
    cap_x = x - tl.minimum(x, tl.where(z < 0, low, high))
    cap_z = tl.abs(z) - half
    edge_x = high - low
    edge_z = 2 * half
    along = ((high - x) * edge_x + (half - z) * edge_z) / (edge_x * edge_x + edge_z * edge_z)
    along = tl.minimum(tl.maximum(along, 0.0), 1.0)
    side_x = x - high + edge_x * along
    side_z = z - half + edge_z * along
    root = tl.sqrt(tl.minimum(cap_x * cap_x + cap_z * cap_z, side_x * side_x + side_z * side_z))
    return tl.where((side_x < 0) & (cap_z < 0), -root, root)


@triton.jit
def _local(row, x, y, z):
    mirror = tl.load(row + 29)
    repeat = tl.load(row + 30)
    if (mirror == 1) | (mirror == 3):
        x = tl.abs(x)
    if mirror >= 2:
        y = tl.abs(y)
    if repeat > 1:
        sector = 6.283185307179586 / repeat
        angle = _arctangent(y, x)
        angle = angle - sector * tl.floor(angle / sector + 0.5)
        radius = tl.sqrt(x * x + y * y)
        x = radius * _cos(angle)
        y = radius * _sin(angle)
    x = x - tl.load(row + 6)
    y = y - tl.load(row + 7)
    z = z - tl.load(row + 8)
    u = tl.load(row + 9) * x + tl.load(row + 10) * y + tl.load(row + 11) * z
    v = tl.load(row + 12) * x + tl.load(row + 13) * y + tl.load(row + 14) * z
    w = tl.load(row + 15) * x + tl.load(row + 16) * y + tl.load(row + 17) * z
    return u, v, w


@triton.jit
def _primitive(row, x, y, z):
    kind = tl.load(row)
    a = tl.load(row + 1)
    b = tl.load(row + 2)
    c = tl.load(row + 3)
    r = tl.load(row + 4)
    d = x
    if kind == 0:
        first = tl.sqrt((x / a) * (x / a) + (y / b) * (y / b) + (z / c) * (z / c))
        sx, sy, sz = x / (a * a), y / (b * b), z / (c * c)
        second = tl.maximum(tl.sqrt(sx * sx + sy * sy + sz * sz), 1e-9)
        d = tl.where(first < 1e-4, -tl.minimum(tl.minimum(a, b), c), first * (first - 1) / second)
    elif kind == 1:
        qx = tl.abs(x) - a + r
        qy = tl.abs(y) - b + r
        qz = tl.abs(z) - c + r
        ox, oy, oz = tl.maximum(qx, 0.0), tl.maximum(qy, 0.0), tl.maximum(qz, 0.0)
        d = tl.sqrt(ox * ox + oy * oy + oz * oz) + tl.minimum(tl.maximum(tl.maximum(qx, qy), qz), 0.0) - r
    elif kind == 2:
        d = _trapezoid(tl.sqrt(x * x + y * y), z, a - r, b - r, c - r) - r
    elif kind == 3:
        y = tl.abs(y)
        sin = _sin(c)
        cos = _cos(c)
        reach = tl.where(cos * y > sin * x, sin * y + cos * x, tl.sqrt(x * x + y * y))
        d = tl.sqrt(tl.maximum(x * x + y * y + z * z + a * a - 2 * a * reach, 0.0)) - b
    elif kind == 4:
        radial = tl.sqrt(x * x + y * y)
        z = z + c
        slope = tl.minimum(tl.maximum((a - b) / (2 * c), -0.999), 0.999)
        across = tl.sqrt(1 - slope * slope)
        along = across * z - slope * radial
        middle = radial * across + z * slope - a
        top = tl.sqrt(radial * radial + (z - 2 * c) * (z - 2 * c)) - b
        bottom = tl.sqrt(radial * radial + z * z) - a
        d = tl.where(along < 0, bottom, tl.where(along > across * 2 * c, top, middle))
    else:
        flat = _trapezoid(tl.abs(x), z, a - r, b - r, c - r)
        thick = tl.abs(y) - tl.load(row + 5) + r
        of, ot = tl.maximum(flat, 0.0), tl.maximum(thick, 0.0)
        d = tl.sqrt(of * of + ot * ot) + tl.minimum(tl.maximum(flat, thick), 0.0) - r
    return d


@triton.jit
def _scene(rows, count, x, y, z):
    """Object-space signed distance and the deciding primitive."""
    distance = x * 0 + 1e3
    owner = (x * 0).to(tl.int32)
    for index in range(count):
        row = rows + index * 32
        u, v, w = _local(row, x, y, z)
        part = _primitive(row, u, v, w)
        operation = tl.load(row + 18)
        blend = tl.maximum(tl.load(row + 19), 1e-6)
        if operation == 0:
            owner = tl.where(part < distance, index, owner)
            overlap = tl.maximum(blend - tl.abs(distance - part), 0.0)
            distance = tl.minimum(distance, part) - overlap * overlap / (4 * blend)
        else:
            part = tl.where(operation == 1, -part, part)
            owner = tl.where(part > distance, index, owner)
            overlap = tl.maximum(blend - tl.abs(distance - part), 0.0)
            distance = tl.maximum(distance, part) + overlap * overlap / (4 * blend)
    return distance, owner


@triton.jit
def _color(rows, count, owner, x, y, z):
    red = x * 0
    green = x * 0
    blue = x * 0
    for index in range(count):
        row = rows + index * 32
        u, v, w = _local(row, x, y, z)
        pattern = tl.load(row + 26)
        wave = 6.283185307179586 * tl.load(row + 27)
        axis = tl.load(row + 28)
        mix = x * 0
        if pattern == 1:
            along = tl.where(axis == 0, u, tl.where(axis == 1, v, w))
            mix = tl.where(_sin(wave * along) > 0, 1.0, 0.0)
        elif pattern == 2:
            mix = tl.where(_sin(wave * u + 0.5) * _sin(wave * v + 0.5) * _sin(wave * w + 0.5) > 0, 1.0, 0.0)
        elif pattern == 3:
            mix = tl.where(_cos(wave * u) + _cos(wave * v) + _cos(wave * w) > 1.3, 1.0, 0.0)
        elif pattern == 4:
            mix = tl.minimum(tl.maximum(0.5 + 0.5 * w / tl.maximum(tl.load(row + 3), 1e-3), 0.0), 1.0)
        elif pattern == 5:
            mix = 0.5 + 0.5 * _sin(wave * u + 2 * _sin(wave * (0.7 * v + 0.4 * w)))
        mine = owner == index
        r, g, b = tl.load(row + 20), tl.load(row + 21), tl.load(row + 22)
        red = tl.where(mine, r + mix * (tl.load(row + 23) - r), red)
        green = tl.where(mine, g + mix * (tl.load(row + 24) - g), green)
        blue = tl.where(mine, b + mix * (tl.load(row + 25) - b), blue)
    return red, green, blue


@triton.jit
def _to_object(place, x, y, z):
    scale = tl.load(place)
    cos = tl.load(place + 4)
    sin = tl.load(place + 5)
    x = (x - tl.load(place + 1)) / scale
    y = (y - tl.load(place + 2)) / scale
    z = (z - tl.load(place + 3)) / scale
    return cos * x + sin * y, cos * y - sin * x, z


@triton.jit
def _distance_kernel(
    rows, counts, placement, points, distances, colors, number, stride, COLOR: tl.constexpr, N: tl.constexpr
):
    scene = tl.program_id(1)
    at = tl.program_id(0) * N + tl.arange(0, N)
    inside = at < number
    base = points + (scene.to(tl.int64) * number + at) * 3
    x = tl.load(base, mask=inside, other=0.0)
    y = tl.load(base + 1, mask=inside, other=0.0)
    z = tl.load(base + 2, mask=inside, other=0.0)
    place = placement + scene * 6
    x, y, z = _to_object(place, x, y, z)
    mine = rows + scene * stride
    count = tl.load(counts + scene)
    distance, owner = _scene(mine, count, x, y, z)
    to = scene.to(tl.int64) * number + at
    tl.store(distances + to, distance * tl.load(place), mask=inside)
    if COLOR:
        red, green, blue = _color(mine, count, owner, x, y, z)
        tl.store(colors + to * 3, red, mask=inside)
        tl.store(colors + to * 3 + 1, green, mask=inside)
        tl.store(colors + to * 3 + 2, blue, mask=inside)


@triton.jit
def _render_kernel(
    rows, counts, placement, lights, cameras, scenes, out, stride,
    SIZE: tl.constexpr, SUB: tl.constexpr, STEPS: tl.constexpr, REACH: tl.constexpr, TILE: tl.constexpr,
    FOCAL: tl.constexpr, RADIUS: tl.constexpr,
):  # fmt: skip
    view = tl.program_id(1)
    tiles = SIZE // TILE
    tile = tl.program_id(0)
    lane = tl.arange(0, TILE * TILE)
    column = (tile % tiles) * TILE + lane % TILE
    line = (tile // tiles) * TILE + lane // TILE
    scene = tl.load(scenes + view)
    mine = rows + scene * stride
    place = placement + scene * 6
    light = lights + scene * 4
    count = tl.load(counts + scene)
    scale = tl.load(place)
    cam = cameras + view * 12
    total_r = column.to(tl.float32) * 0
    total_g = total_r
    total_b = total_r
    total_a = total_r
    for sub in range(SUB * SUB):
        right = ((column + (sub % SUB + 0.5) / SUB) / SIZE - 0.5) / FOCAL
        up = (0.5 - (line + (sub // SUB + 0.5) / SUB) / SIZE) / FOCAL
        length = 1 / tl.sqrt(right * right + up * up + 1)
        right, up, ahead = right * length, up * length, length
        dx = right * tl.load(cam) + up * tl.load(cam + 3) - ahead * tl.load(cam + 6)
        dy = right * tl.load(cam + 1) + up * tl.load(cam + 4) - ahead * tl.load(cam + 7)
        dz = right * tl.load(cam + 2) + up * tl.load(cam + 5) - ahead * tl.load(cam + 8)
        ox, oy, oz = tl.load(cam + 9), tl.load(cam + 10), tl.load(cam + 11)
        t = total_r * 0 + (RADIUS - REACH if RADIUS > REACH else 0.05)
        distance = total_r + 1.0
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
        if tl.max(hit.to(tl.int32), axis=0) > 0:
            wx, wy, wz = ox + t * dx, oy + t * dy, oz + t * dz
            x, y, z = _to_object(place, wx, wy, wz)
            e = 1e-3
            _s0, owner = _scene(mine, count, x, y, z)
            red, green, blue = _color(mine, count, owner, x, y, z)
            ax, ay, az = _to_object(place, wx + e, wy - e, wz - e)
            s1, _ = _scene(mine, count, ax, ay, az)
            ax, ay, az = _to_object(place, wx - e, wy - e, wz + e)
            s2, _ = _scene(mine, count, ax, ay, az)
            ax, ay, az = _to_object(place, wx - e, wy + e, wz - e)
            s3, _ = _scene(mine, count, ax, ay, az)
            ax, ay, az = _to_object(place, wx + e, wy + e, wz + e)
            s4, _ = _scene(mine, count, ax, ay, az)
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
    share = 255.0 / (SUB * SUB)
    to = out + ((view.to(tl.int64) * SIZE + line) * SIZE + column) * 4
    tl.store(to, (total_r * share + 0.5).to(tl.uint8))
    tl.store(to + 1, (total_g * share + 0.5).to(tl.uint8))
    tl.store(to + 2, (total_b * share + 0.5).to(tl.uint8))
    tl.store(to + 3, (total_a * share + 0.5).to(tl.uint8))


class Scenes:
    """A batch of scenes on one device.

    rows (B, P, 32), counts (B,), placement (B, 6) and light (B, 4) as in ``backend.evaluate.scene.Scene``.
    """

    def __init__(self, rows, counts, placement, light, device):
        self.rows = torch.as_tensor(rows, dtype=torch.float32, device=device).contiguous()
        self.counts = torch.as_tensor(counts, dtype=torch.int32, device=device).contiguous()
        self.placement = torch.as_tensor(placement, dtype=torch.float32, device=device).contiguous()
        self.light = torch.as_tensor(light, dtype=torch.float32, device=device).contiguous()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index) -> Scenes:
        return Scenes(self.rows[index], self.counts[index], self.placement[index], self.light[index], self.rows.device)

    def distance(self, points: torch.Tensor, color: bool = False):
        """World points (B, N, 3) -> signed distances (B, N) in world units [and albedo (B, N, 3)]."""
        points = points.contiguous()
        batch, number, _ = points.shape
        distances = torch.empty(batch, number, device=points.device)
        colors = torch.empty(batch, number, 3, device=points.device) if color else distances
        grid = (triton.cdiv(number, BLOCK), batch)
        stride = self.rows.shape[1] * 32
        _distance_kernel[grid](
            self.rows, self.counts, self.placement, points, distances, colors, number, stride, COLOR=color, N=BLOCK
        )  # fmt: skip
        return (distances, colors) if color else distances

    def render(self, camera_to_world: torch.Tensor, scenes: torch.Tensor, size: int, sub: int = 2) -> torch.Tensor:
        """Cameras (V, 4, 4) of scenes (V,) -> (V, size, size, 4) uint8: color on white and coverage."""
        cameras = camera_to_world[:, :3, :].transpose(1, 2).reshape(-1, 12).float().contiguous()
        out = torch.empty(len(cameras), size, size, 4, dtype=torch.uint8, device=cameras.device)
        grid = ((size // TILE) ** 2, len(cameras))
        _render_kernel[grid](
            self.rows, self.counts, self.placement, self.light, cameras, scenes.int().contiguous(), out,
            self.rows.shape[1] * 32, SIZE=size, SUB=sub, STEPS=STEPS,
            REACH=REACH, TILE=TILE, FOCAL=FOCAL, RADIUS=RADIUS,
        )  # fmt: skip
        return out


def from_numpy(scenes: list[tuple[np.ndarray, np.ndarray, np.ndarray]], device) -> Scenes:
    """[(rows (P, 32), placement (6,), light (4,))] of unequal P -> one padded batch."""
    most = max(len(rows) for rows, _, _ in scenes)
    padded = np.zeros((len(scenes), most, 32), np.float32)
    for i, (rows, _, _) in enumerate(scenes):
        padded[i, : len(rows)] = rows
    counts = [len(rows) for rows, _, _ in scenes]
    return Scenes(padded, counts, np.stack([s[1] for s in scenes]), np.stack([s[2] for s in scenes]), device)

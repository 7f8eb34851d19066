"""Signed distance and color of scenes on the GPU, in Triton: ``procedural.sdf``, point for point.

The functions run inside the kernels of ``procedural.triton_renderer`` and ``procedural.triton_depth``: one program
loops over the primitives of one scene, whose kind is a scalar branch. ``rows`` and ``transform`` are pointers to the
first column of a scene's tables (``procedural.schema``). Tests run the kernels in Triton's interpreter against the
PyTorch reference.
"""

# Triton declares constexpr where a kernel takes a plain value, and no iteration over tl.static_range.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false

from __future__ import annotations

import triton
import triton.language as tl

from procedural.schema import ROW_LENGTH as _ROW_LENGTH
from procedural.schema import Column, Mirror, Operation, Primitive, Transform
from procedural.triton_patterns import cosine, pattern_mix, sine

# Kernels can read global numbers only as constexpr, and no attributes of enums.
ROW_LENGTH = tl.constexpr(_ROW_LENGTH)
KIND = tl.constexpr(int(Column.KIND))
A = tl.constexpr(int(Column.A))
B = tl.constexpr(int(Column.B))
C = tl.constexpr(int(Column.C))
ROUNDING = tl.constexpr(int(Column.ROUNDING))
HALF_DEPTH = tl.constexpr(int(Column.HALF_DEPTH))
CENTER = tl.constexpr(int(Column.CENTER))
ROTATION = tl.constexpr(int(Column.ROTATION))
OPERATION = tl.constexpr(int(Column.OPERATION))
BLEND = tl.constexpr(int(Column.BLEND))
COLOR_A = tl.constexpr(int(Column.COLOR_A))
COLOR_B = tl.constexpr(int(Column.COLOR_B))
PATTERN = tl.constexpr(int(Column.PATTERN))
FREQUENCY = tl.constexpr(int(Column.FREQUENCY))
AXIS = tl.constexpr(int(Column.AXIS))
MIRROR = tl.constexpr(int(Column.MIRROR))
REPEAT = tl.constexpr(int(Column.REPEAT))
ELLIPSOID = tl.constexpr(int(Primitive.ELLIPSOID))
BOX = tl.constexpr(int(Primitive.BOX))
CONE = tl.constexpr(int(Primitive.CONE))
TORUS = tl.constexpr(int(Primitive.TORUS))
CAPSULE = tl.constexpr(int(Primitive.CAPSULE))
UNION = tl.constexpr(int(Operation.UNION))
SUBTRACT = tl.constexpr(int(Operation.SUBTRACT))
MIRROR_X = tl.constexpr(int(Mirror.X))
MIRROR_Y = tl.constexpr(int(Mirror.Y))
MIRROR_XY = tl.constexpr(int(Mirror.XY))
SCALE = tl.constexpr(int(Transform.SCALE))
TRANSLATION = tl.constexpr(int(Transform.TRANSLATION))
COS_YAW = tl.constexpr(int(Transform.COS_YAW))
SIN_YAW = tl.constexpr(int(Transform.SIN_YAW))


@triton.jit
def _arctangent(y, x):
    """Angle of (x, y) in radians, error below 2e-6 (Triton has no atan2 that also runs in its interpreter)."""
    ax, ay = tl.abs(x), tl.abs(y)
    ratio = tl.minimum(ax, ay) / tl.maximum(tl.maximum(ax, ay), 1e-20)
    s = ratio * ratio
    angle = ((-0.0464964749 * s + 0.15931422) * s - 0.327622764) * s * ratio + ratio
    # one Newton step on tan(angle) = ratio takes the polynomial from 1e-4 to float precision
    sin, cos = sine(angle), cosine(angle)
    angle = angle - (sin - ratio * cos) * cos
    angle = tl.where(ay > ax, 1.5707963267948966 - angle, angle)
    angle = tl.where(x < 0, 3.141592653589793 - angle, angle)
    return tl.where(y < 0, -angle, angle)


@triton.jit
def _trapezoid(x, z, low, high, half):
    """Signed distance of (x >= 0, z) to a symmetric trapezoid: half widths ``low`` at -half and ``high`` at +half."""
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
def _to_local(row, x, y, z):
    """Object-space points -> the primitive's own frame, through its mirror and its repetition."""
    mirror = tl.load(row + MIRROR)
    repeat = tl.load(row + REPEAT)
    if (mirror == MIRROR_X) | (mirror == MIRROR_XY):
        x = tl.abs(x)
    if (mirror == MIRROR_Y) | (mirror == MIRROR_XY):
        y = tl.abs(y)
    if repeat > 1:
        sector = 6.283185307179586 / repeat
        angle = _arctangent(y, x)
        angle = angle - sector * tl.floor(angle / sector + 0.5)
        radius = tl.sqrt(x * x + y * y)
        x = radius * cosine(angle)
        y = radius * sine(angle)
    x = x - tl.load(row + CENTER)
    y = y - tl.load(row + CENTER + 1)
    z = z - tl.load(row + CENTER + 2)
    u = tl.load(row + ROTATION) * x + tl.load(row + ROTATION + 1) * y + tl.load(row + ROTATION + 2) * z
    v = tl.load(row + ROTATION + 3) * x + tl.load(row + ROTATION + 4) * y + tl.load(row + ROTATION + 5) * z
    w = tl.load(row + ROTATION + 6) * x + tl.load(row + ROTATION + 7) * y + tl.load(row + ROTATION + 8) * z
    return u, v, w


@triton.jit
def _primitive_distance(row, x, y, z):
    """Signed distance of local points to the primitive of one row."""
    kind = tl.load(row + KIND)
    a = tl.load(row + A)
    b = tl.load(row + B)
    c = tl.load(row + C)
    r = tl.load(row + ROUNDING)
    d = x
    if kind == ELLIPSOID:
        first = tl.sqrt((x / a) * (x / a) + (y / b) * (y / b) + (z / c) * (z / c))
        sx, sy, sz = x / (a * a), y / (b * b), z / (c * c)
        second = tl.maximum(tl.sqrt(sx * sx + sy * sy + sz * sz), 1e-9)
        d = tl.where(first < 1e-4, -tl.minimum(tl.minimum(a, b), c), first * (first - 1) / second)
    elif kind == BOX:
        qx = tl.abs(x) - a + r
        qy = tl.abs(y) - b + r
        qz = tl.abs(z) - c + r
        ox, oy, oz = tl.maximum(qx, 0.0), tl.maximum(qy, 0.0), tl.maximum(qz, 0.0)
        d = tl.sqrt(ox * ox + oy * oy + oz * oz) + tl.minimum(tl.maximum(tl.maximum(qx, qy), qz), 0.0) - r
    elif kind == CONE:
        d = _trapezoid(tl.sqrt(x * x + y * y), z, a - r, b - r, c - r) - r
    elif kind == TORUS:
        y = tl.abs(y)
        sin = sine(c)
        cos = cosine(c)
        reach = tl.where(cos * y > sin * x, sin * y + cos * x, tl.sqrt(x * x + y * y))
        d = tl.sqrt(tl.maximum(x * x + y * y + z * z + a * a - 2 * a * reach, 0.0)) - b
    elif kind == CAPSULE:
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
        profile = _trapezoid(tl.abs(x), z, a - r, b - r, c - r)
        side = tl.abs(y) - tl.load(row + HALF_DEPTH) + r
        px, py = tl.maximum(profile, 0.0), tl.maximum(side, 0.0)
        d = tl.sqrt(px * px + py * py) + tl.minimum(tl.maximum(profile, side), 0.0) - r
    return d


@triton.jit
def scene_distance(rows, count, x, y, z):
    """Signed distance of object-space points to a scene of ``count`` rows, and the index of the deciding primitive."""
    distance = x * 0 + 1e3
    owner = (x * 0).to(tl.int32)
    for index in range(count):
        row = rows + index * ROW_LENGTH
        u, v, w = _to_local(row, x, y, z)
        current = _primitive_distance(row, u, v, w)
        operation = tl.load(row + OPERATION)
        blend = tl.maximum(tl.load(row + BLEND), 1e-6)
        if operation == UNION:
            owner = tl.where(current < distance, index, owner)
            overlap = tl.maximum(blend - tl.abs(distance - current), 0.0)
            distance = tl.minimum(distance, current) - overlap * overlap / (4 * blend)
        else:
            current = tl.where(operation == SUBTRACT, -current, current)
            owner = tl.where(current > distance, index, owner)
            overlap = tl.maximum(blend - tl.abs(distance - current), 0.0)
            distance = tl.maximum(distance, current) + overlap * overlap / (4 * blend)
    return distance, owner


@triton.jit
def scene_color(rows, count, owner, x, y, z):
    """Albedo (red, green, blue), sRGB, of object-space points that belong to the primitives ``owner``."""
    red = x * 0
    green = x * 0
    blue = x * 0
    for index in range(count):
        row = rows + index * ROW_LENGTH
        u, v, w = _to_local(row, x, y, z)
        pattern = tl.load(row + PATTERN)
        wave = 6.283185307179586 * tl.load(row + FREQUENCY)
        axis = tl.load(row + AXIS)
        across = tl.where(axis == 0, u, tl.where(axis == 1, v, w))
        mix = pattern_mix(pattern, wave, u, v, w, across, w / tl.maximum(tl.load(row + C), 1e-3))
        owned = owner == index
        r, g, b = tl.load(row + COLOR_A), tl.load(row + COLOR_A + 1), tl.load(row + COLOR_A + 2)
        red = tl.where(owned, r + mix * (tl.load(row + COLOR_B) - r), red)
        green = tl.where(owned, g + mix * (tl.load(row + COLOR_B + 1) - g), green)
        blue = tl.where(owned, b + mix * (tl.load(row + COLOR_B + 2) - b), blue)
    return red, green, blue


@triton.jit
def to_object(transform, x, y, z):
    """World points -> object space."""
    scale = tl.load(transform + SCALE)
    cos = tl.load(transform + COS_YAW)
    sin = tl.load(transform + SIN_YAW)
    x = (x - tl.load(transform + TRANSLATION)) / scale
    y = (y - tl.load(transform + TRANSLATION + 1)) / scale
    z = (z - tl.load(transform + TRANSLATION + 2)) / scale
    return cos * x + sin * y, cos * y - sin * x, z

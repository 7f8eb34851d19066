"""Distances from points to triangle meshes and winding numbers around points, in Triton: brute force.

Every point meets every triangle of its mesh. With at most a few thousand triangles that takes a millisecond or two per
scene, and nothing has to be built. The generalized winding number (Jacobson et al. 2013) says what is inside also where
a mesh has small gaps, overlapping components or duplicate faces.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

BLOCK = 512
"""Points per program."""


@triton.jit
def _load_points(points, mesh, number, BLOCK: tl.constexpr):
    """A program's points: their index in the output, which of them exist, and their coordinates."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = index < number
    output = mesh * number + index
    x = tl.load(points + output * 3, mask=exists, other=0.0)
    y = tl.load(points + output * 3 + 1, mask=exists, other=0.0)
    z = tl.load(points + output * 3 + 2, mask=exists, other=0.0)
    return output, exists, x, y, z


@triton.jit
def _square_to_edge(px, py, pz, ex, ey, ez):
    """Square of the distance from points to the edge from the origin to ``e``."""
    along = (px * ex + py * ey + pz * ez) / tl.maximum(ex * ex + ey * ey + ez * ez, 1e-20)
    along = tl.minimum(tl.maximum(along, 0.0), 1.0)
    dx, dy, dz = px - along * ex, py - along * ey, pz - along * ez
    return dx * dx + dy * dy + dz * dz


@triton.jit
def _beside(px, py, pz, ex, ey, ez, nx, ny, nz):
    """Positive on the triangle's side of the plane through the edge ``e`` from the origin, along the normal ``n``."""
    return (ny * ez - nz * ey) * px + (nz * ex - nx * ez) * py + (nx * ey - ny * ex) * pz


@triton.jit
def _distance_kernel(triangles, counts, points, out, number, stride, BLOCK: tl.constexpr):
    mesh = tl.program_id(1).to(tl.int64)
    output, exists, x, y, z = _load_points(points, mesh, number, BLOCK)
    nearest = x * 0 + 1e12
    for face in range(tl.load(counts + mesh)):
        corner = triangles + (mesh * stride + face) * 9
        ax, ay, az = tl.load(corner), tl.load(corner + 1), tl.load(corner + 2)
        bx, by, bz = tl.load(corner + 3), tl.load(corner + 4), tl.load(corner + 5)
        cx, cy, cz = tl.load(corner + 6), tl.load(corner + 7), tl.load(corner + 8)
        abx, aby, abz = bx - ax, by - ay, bz - az
        bcx, bcy, bcz = cx - bx, cy - by, cz - bz
        cax, cay, caz = ax - cx, ay - cy, az - cz
        # the normal, from a b and a c
        nx, ny, nz = abz * cay - aby * caz, abx * caz - abz * cax, aby * cax - abx * cay
        square = nx * nx + ny * ny + nz * nz
        pax, pay, paz = x - ax, y - ay, z - az
        pbx, pby, pbz = x - bx, y - by, z - bz
        pcx, pcy, pcz = x - cx, y - cy, z - cz
        edge = tl.minimum(
            tl.minimum(_square_to_edge(pax, pay, paz, abx, aby, abz), _square_to_edge(pbx, pby, pbz, bcx, bcy, bcz)),
            _square_to_edge(pcx, pcy, pcz, cax, cay, caz),
        )
        beside = tl.minimum(
            tl.minimum(
                _beside(pax, pay, paz, abx, aby, abz, nx, ny, nz), _beside(pbx, pby, pbz, bcx, bcy, bcz, nx, ny, nz)
            ),
            _beside(pcx, pcy, pcz, cax, cay, caz, nx, ny, nz),
        )
        height = nx * pax + ny * pay + nz * paz
        # No point is beside all edges of a triangle without area: it is its edges.
        nearest = tl.minimum(nearest, tl.where(beside > 0, height * height / tl.maximum(square, 1e-30), edge))
    tl.store(out + output, tl.sqrt(nearest), mask=exists)


@triton.jit
def _angle(y, x):
    """Angle of (x, y) in radians, error below 2e-5 (Abramowitz and Stegun 4.4.49)."""
    ax, ay = tl.abs(x), tl.abs(y)
    ratio = tl.minimum(ax, ay) / tl.maximum(tl.maximum(ax, ay), 1e-30)
    s = ratio * ratio
    angle = ratio * (0.9998660 + s * (-0.3302995 + s * (0.1801410 + s * (-0.0851330 + s * 0.0208351))))
    angle = tl.where(ay > ax, 1.5707963267948966 - angle, angle)
    angle = tl.where(x < 0, 3.141592653589793 - angle, angle)
    return tl.where(y < 0, -angle, angle)


@triton.jit
def _winding_kernel(triangles, counts, points, out, number, stride, BLOCK: tl.constexpr):
    mesh = tl.program_id(1).to(tl.int64)
    output, exists, x, y, z = _load_points(points, mesh, number, BLOCK)
    total = x * 0
    for face in range(tl.load(counts + mesh)):
        corner = triangles + (mesh * stride + face) * 9
        ax, ay, az = tl.load(corner) - x, tl.load(corner + 1) - y, tl.load(corner + 2) - z
        bx, by, bz = tl.load(corner + 3) - x, tl.load(corner + 4) - y, tl.load(corner + 5) - z
        cx, cy, cz = tl.load(corner + 6) - x, tl.load(corner + 7) - y, tl.load(corner + 8) - z
        a = tl.sqrt(ax * ax + ay * ay + az * az)
        b = tl.sqrt(bx * bx + by * by + bz * bz)
        c = tl.sqrt(cx * cx + cy * cy + cz * cz)
        volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
        # half the tangent's denominator of the solid angle (Van Oosterom and Strackee 1983)
        rest = (
            a * b * c
            + (ax * bx + ay * by + az * bz) * c
            + (bx * cx + by * cy + bz * cz) * a
            + (cx * ax + cy * ay + cz * az) * b
        )
        total += _angle(volume, rest)
    tl.store(out + output, total * 0.15915494309189535, mask=exists)  # 1 / (2 pi)


def _launch(kernel, triangles: torch.Tensor, counts: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    batch, number = points.shape[:2]
    out = torch.empty(batch, number, device=points.device)
    grid = (triton.cdiv(number, BLOCK), batch)
    kernel[grid](
        triangles.contiguous(), counts, points.contiguous(), out, number, triangles.shape[1], BLOCK=BLOCK
    )  # fmt: skip
    return out


def nearest_distances(triangles: torch.Tensor, counts: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Distances (B, N), not signed, from points (B, N, 3) to the nearest of each mesh's triangles.

    ``triangles`` (B, F, 3, 3) float32, of which the first ``counts`` (B,) int32 exist; 1e6 where there is none.
    """
    return _launch(_distance_kernel, triangles, counts, points)


def winding_numbers(triangles: torch.Tensor, counts: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """How often each mesh winds around points (B, N, 3): (B, N); 1 inside a closed mesh with outward normals, else 0.

    ``triangles`` and ``counts`` as for ``nearest_distances``.
    """
    return _launch(_winding_kernel, triangles, counts, points)

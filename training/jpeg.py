"""What JPEG compression does to images, on their device: ITU-T T.81 without the lossless part."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

BLOCK = 8
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the coefficients at quality 50, table K.1."""
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * BLOCK,) * 4,
)
"""Table K.2."""
TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def compress(images: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, S, S) float32 0..1, S a multiple of 16 -> as they come out of a JPEG file of ``quality`` (N,), 1 to
    100 as in libjpeg, with colors at half the resolution."""
    matrix = torch.tensor(TO_YCBCR, device=images.device)
    planes = (
        torch.einsum("ck,nkyx->ncyx", matrix, images * 255)
        - torch.tensor([128.0, 0, 0], device=images.device)[:, None, None]
    )
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1)
    steps = [
        torch.floor((torch.tensor(table, device=images.device) * scale + 50) / 100).clamp(1, 255)
        for table in (LUMINANCE, CHROMINANCE)
    ]
    luma = _round_coefficients(planes[:, :1], steps[0])
    chroma = _round_coefficients(F.avg_pool2d(planes[:, 1:], 2), steps[1])
    planes = torch.cat([luma + 128, F.interpolate(chroma, scale_factor=2, mode="bilinear")], 1)
    return (torch.einsum("kc,ncyx->nkyx", torch.linalg.inv(matrix), planes) / 255).clamp(0, 1)


def _round_coefficients(planes: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Planes (N, C, H, W) whose blocks' cosine coefficients are multiples of ``steps`` (N, 8, 8)."""
    place = torch.arange(BLOCK, device=planes.device)
    basis = torch.cos(math.pi / BLOCK * (place + 0.5) * place[:, None]) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    blocks = planes.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).transpose(3, 4)  # (N, C, rows, columns, 8, 8)
    steps = steps[:, None, None, None]
    rounded = ((basis @ blocks @ basis.T) / steps).round() * steps
    return (basis.T @ rounded @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)

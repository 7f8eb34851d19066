"""Objects of packs with another one beside them, on top of them or growing out of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from procedural.normalization import bounds

ON_TOP, BESIDE = 0.4, 0.4
"""Shares of the joined objects; the rest of them grow out of a corner of a triangle."""


@dataclass(frozen=True)
class Parts:
    """B objects in frames of their own, padded to F triangles; everything on one device."""

    triangles: torch.Tensor
    """(B, F, 3, 3) float32."""
    normals: torch.Tensor
    """(B, F, 3, 3) float32 corner normals."""
    uvs: torch.Tensor
    """(B, F, 3, 2) float32 in 0..1, v upward."""
    counts: torch.Tensor
    """(B,) int32 triangles of each object."""
    second_counts: torch.Tensor
    """(B,) int32: how many of these, the last, are those of a second object joined to a first."""
    textures: torch.Tensor
    """(B, T, T, 3) uint8."""
    own_triangles: torch.Tensor
    """(B, F, 3, 3) float32 in the space of each object's own, before it was stretched, bent or placed."""

    def corners(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All corners (B, 3 F, 3), and which are those of triangles (B, 3 F)."""
        valid = torch.arange(self.triangles.shape[1], device=self.counts.device) < self.counts[:, None]
        return self.triangles.flatten(1, 2), valid.repeat_interleave(3, 1)


def join(first: Parts, second: Parts, joined: torch.Tensor, rng: np.random.Generator) -> Parts:
    """``first``, where ``joined`` (B,) bool together with ``second``, which is scaled, turned and placed at random.

    Each gets one half of a joined object's texture, which is squeezed to half its width.
    """
    second = _placed(second, first, rng)
    second_counts = second.counts * joined
    counts = first.counts + second_counts
    width, most = first.triangles.shape[1], int(counts.max())
    slot = torch.arange(most, device=counts.device)
    # The second object's triangles follow the first one's, without its padding.
    source = torch.where(slot < first.counts[:, None], slot, width + slot - first.counts[:, None])
    source = source.clamp_max(width + second.triangles.shape[1] - 1)

    def together(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        both = torch.cat([one, other], 1)
        return both.gather(1, source[:, :, None, None].expand(-1, -1, *both.shape[2:]))

    is_joined = joined.view(-1, 1, 1, 1)
    halves = torch.tensor([0.5, 1.0], device=counts.device)
    left = torch.where(is_joined, first.uvs * halves, first.uvs)
    right = second.uvs * halves + torch.tensor([0.5, 0.0], device=counts.device)
    squeezed = torch.cat([first.textures[:, :, ::2], second.textures[:, :, ::2]], 2)
    return Parts(
        together(first.triangles, second.triangles),
        together(first.normals, second.normals),
        together(left, right),
        counts,
        second_counts,
        torch.where(is_joined, squeezed, first.textures),
        together(first.own_triangles, second.own_triangles),
    )


def _placed(second: Parts, first: Parts, rng: np.random.Generator) -> Parts:
    """``second`` where it touches ``first``."""
    count, device = len(first.counts), first.counts.device

    def random(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape)).astype(np.float32)).to(device)

    angles = rng.uniform(-1, 1, (count, 3)) * (180, 90, 90)
    angles[:, 1:] *= rng.random((count, 1)) < 0.2  # most stand upright
    turn = torch.from_numpy(Rotation.from_euler("zyx", angles, degrees=True).as_matrix().astype(np.float32)).to(device)
    low, high = bounds(*first.corners())
    side = (high - low).amax(1)
    turned = dataclasses.replace(
        second,
        triangles=torch.einsum("bij,bfcj->bfci", turn, second.triangles),
        normals=torch.einsum("bij,bfcj->bfci", turn, second.normals),
    )
    own_low, own_high = bounds(*turned.corners())
    scale = random(0.25, 0.9) * side / (own_high - own_low).amax(1)
    half = (own_high - own_low) / 2 * scale[:, None]
    middle, reach = (low + high) / 2, (high - low) / 2
    contact = 1 - random(0, 0.3)

    on_top = middle + random(-0.4, 0.4, 3) * reach
    on_top[:, 2] = high[:, 2] + half[:, 2] * contact
    direction = random(0, 2 * np.pi)
    direction = torch.stack([direction.cos(), direction.sin()], 1)
    gap = (reach + half)[:, :2] / direction.abs().clamp_min(1e-3)
    beside = torch.cat([middle[:, :2] + direction * (gap.amin(1) * contact)[:, None], (low + half)[:, 2:]], 1)
    corners, _ = first.corners()
    chosen = (random(0, 1) * 3 * first.counts).long().clamp_max(corners.shape[1] - 1)
    grown = corners[torch.arange(count, device=device), chosen]

    way = random(0, 1)[:, None]
    center = torch.where(way < ON_TOP, on_top, torch.where(way < ON_TOP + BESIDE, beside, grown))
    shift = center - (own_low + own_high) / 2 * scale[:, None]
    return dataclasses.replace(turned, triangles=turned.triangles * scale.view(-1, 1, 1, 1) + shift[:, None, None])

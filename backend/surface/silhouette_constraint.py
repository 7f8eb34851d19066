"""The picture's outline, imposed on a field: the one thing about the object that is certain.

Painted views contradict each other, and what they do not agree on is lost, thin parts first. But every ray through the
picture's object must meet the surface and every ray beside it must not, so the field is lowered along the former, where
it comes nearest, and raised along the latter.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from ..camera import FOCAL, RADIUS, project, rays

FINE = 4
"""The outline is traced at this many times the mask's resolution."""
DEPTHS = 96
THICKEST = 0.04
"""How deep below the surface (world units) a ray that the field missed is brought at most."""
SHARE = 0.7
"""The same as a share of the distance to the outline, so that a lost pole comes back round rather than flat."""
MET = -0.004
"""A ray that comes at least this deep below the surface has met it, however thin it is there."""
LOST = 0.15
"""Beyond this (world units) the field tells no distances any more, so there is nothing to bring back."""
WINDOW = 0.08
"""How far from its nearest point (world units, along the ray) a ray is lowered: where the field hardly changes, the
whole ray would become a rod that points at the camera."""
LONGEST = 32_000
"""OpenCV looks up at most 32767 places in a column at once."""

PARTS = "pose", "beside", "lower", "depth"

Distance = Callable[[np.ndarray], np.ndarray]


class Outline:
    """What the picture's camera adds to a field's distances."""

    def __init__(self, pose: np.ndarray, beside: np.ndarray, lower: np.ndarray, depth: np.ndarray):
        """``pose`` (4, 4) of the picture's camera; ``beside`` (T, T): signed distance to the outline in image widths,
        positive outside; ``lower`` (S, S): world units to take off on each pixel's ray, most at ``depth`` (S, S)."""
        self.pose, self.beside, self.lower, self.depth = pose, beside, lower, depth

    @classmethod
    def of(cls, mask: np.ndarray, pose: np.ndarray, distance: Distance, half_side: float) -> Outline:
        """The outline of a mask (S, S) float32 0..1 for the field ``distance`` on [-half_side, half_side]^3."""
        size = len(mask)
        fine = cv2.resize(mask, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC) > 0.5
        inside, outside = (
            cv2.distanceTransform(each.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for each in (fine, ~fine)
        )
        # half a pixel: the outline runs between the last pixel inside and the first outside
        beside = (np.where(fine, 0.5 - inside, outside - 0.5) / len(fine)).astype(np.float32)
        coarse = cv2.resize(beside, (size, size), interpolation=cv2.INTER_AREA)
        row, column = np.nonzero(coarse < 0)
        lower, depth = np.zeros((2, size, size), np.float32)
        if len(row):
            origins, directions = (each[row, column] for each in rays(pose, size))
            nearest, depth[row, column] = _nearest(distance, pose, origins, directions, half_side)
            wanted = -np.minimum(-coarse[row, column] * RADIUS / FOCAL * SHARE, THICKEST)
            lower[row, column] = np.where((nearest > MET) & (nearest < LOST), nearest - wanted, 0)
        return cls(pose, beside, _smooth(lower, coarse < 0), _smooth(depth, coarse < 0))

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> Outline | None:
        """What ``tensors`` described, or None where it is not among them."""
        if "outline.pose" not in tensors:
            return None
        return cls(*(tensors[f"outline.{name}"].numpy() for name in PARTS))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything needed to rebuild the outline, for safetensors."""
        return {f"outline.{name}": torch.from_numpy(getattr(self, name)) for name in PARTS}

    def apply(self, points: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Distances (P,) of world points (P, 3), corrected."""
        pixel, depth = project(points, self.pose, 1)
        far = (depth - _look_up(self.depth, pixel)) / WINDOW
        lowered = distance - _look_up(self.lower, pixel) * np.clip(1 - far**2, 0, 1)
        return np.maximum(lowered, _look_up(self.beside, pixel) * depth / FOCAL).astype(np.float32)


def _nearest(
    distance: Distance, pose: np.ndarray, origins: np.ndarray, directions: np.ndarray, half_side: float
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest distance (R,) that a field has along each ray inside its cube, and the depth (R,) where it is."""
    steps = np.linspace(RADIUS - half_side * 1.5, RADIUS + half_side * 1.5, DEPTHS, dtype=np.float32)
    points = origins[:, None] + directions[:, None] * steps[:, None]
    within = (np.abs(points) < half_side).all(-1)
    values = np.full(within.shape, np.inf, np.float32)
    values[within] = distance(points[within])
    depth = steps[values.argmin(1)] * (directions @ -pose[:3, 2])
    return np.where(within.any(1), values.min(1), 0), depth


def _smooth(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A small blur that takes nothing from outside the object."""
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.0)
    return np.where(inside, cv2.GaussianBlur(image, (0, 0), 1.0) / np.maximum(weight, 1e-3), 0).astype(np.float32)


def _look_up(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """Bilinear values (P,) of an image (S, S) at places (P, 2) in image widths; the border goes on outside."""
    place = (pixel * len(image) - 0.5).astype(np.float32)
    found = [np.zeros(0, np.float32)]
    for start in range(0, len(place), LONGEST):
        part = place[start : start + LONGEST, None]
        found.append(cv2.remap(image, part, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0])
    return np.concatenate(found)

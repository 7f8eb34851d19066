"""Correct a field where it contradicts the input image's silhouette, the only geometry that is known for certain.

Generated views contradict each other, and the surface network drops whatever they do not agree on, thin structures
first. But every ray through a pixel of the object must hit the surface, and every ray beside the silhouette must miss
it. So the signed distance is lowered along the former, where it is smallest, and raised along the latter
(docs/adr/008-silhouette-constraint.md).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from ..camera import FOCAL, RADIUS, project, rays
from ..image_filters import sample_bilinear

UPSAMPLING = 4
"""The silhouette is traced at this many times the mask's resolution."""
RAY_STEPS = 48
"""Distances evaluated along each ray; two more follow, halfway beside the smallest, as a field is smooth."""
MAX_PENETRATION = 0.06
"""Greatest depth below the surface (world units) to which a ray that missed the field is brought."""
PENETRATION_RATIO = 0.9
"""The same, relative to the distance from the silhouette, so that the section of a restored rod is round, not flat."""
HIT_DISTANCE = -0.004
"""A ray that comes at least this deep below the surface counts as a hit, however thin the object is there."""
MAX_GAP = 0.15
"""Beyond this distance (world units) the network's values are no longer distances, so there is nothing to restore."""
WINDOW = 0.08
"""Half the length (world units) of the stretch of a ray that is lowered, centered on its smallest distance. Where the
field is almost constant, the whole ray would otherwise become a rod that points at the camera."""

TENSOR_NAMES = {
    "camera_to_world": "outline.pose",
    "silhouette_sdf": "outline.beside",
    "offset": "outline.lower",
    "peak_depth": "outline.depth",
}
"""Attributes and their names in field files, which older versions wrote too."""

Distance = Callable[[np.ndarray], np.ndarray]
"""World points (P, 3) float32 -> signed distances (P,)."""


class SilhouetteConstraint:
    """The correction that one silhouette makes to a field's distances."""

    def __init__(
        self, camera_to_world: np.ndarray, silhouette_sdf: np.ndarray, offset: np.ndarray, peak_depth: np.ndarray
    ):
        """``camera_to_world`` (4, 4), OpenGL axes. ``silhouette_sdf`` (T, T) float32: signed distance to the silhouette
        in image widths, positive outside. ``offset`` (S, S) float32: world units subtracted from the distance on each
        pixel's ray, in full at depth ``peak_depth`` (S, S) and less around it."""
        self.camera_to_world, self.silhouette_sdf = camera_to_world, silhouette_sdf
        self.offset, self.peak_depth = offset, peak_depth

    @classmethod
    def from_mask(
        cls, mask: np.ndarray, camera_to_world: np.ndarray, distance: Distance, half_side: float
    ) -> SilhouetteConstraint:
        """The constraint of a mask (S, S) float32 0..1 on the field ``distance`` on [-half_side, half_side]^3."""
        size = len(mask)
        fine = cv2.resize(mask, None, fx=UPSAMPLING, fy=UPSAMPLING, interpolation=cv2.INTER_CUBIC) > 0.5
        inside, outside = (
            cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            for region in (fine, ~fine)
        )
        # half a pixel: the silhouette runs between the last pixel inside and the first outside
        silhouette_sdf = (np.where(fine, 0.5 - inside, outside - 0.5) / len(fine)).astype(np.float32)
        coarse = cv2.resize(silhouette_sdf, (size, size), interpolation=cv2.INTER_AREA)
        row, column = np.nonzero(coarse < 0)
        offset, peak_depth = np.zeros((2, size, size), np.float32)
        if len(row):
            origins, directions = (array[row, column] for array in rays(camera_to_world, size))
            smallest, peak_depth[row, column] = _smallest_distance(
                distance, camera_to_world, origins, directions, half_side
            )
            target = -np.minimum(-coarse[row, column] * RADIUS / FOCAL * PENETRATION_RATIO, MAX_PENETRATION)
            missed = (smallest > HIT_DISTANCE) & (smallest < MAX_GAP)
            offset[row, column] = np.where(missed, smallest - target, 0)
        return cls(camera_to_world, silhouette_sdf, _blur(offset, coarse < 0), _blur(peak_depth, coarse < 0))

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> SilhouetteConstraint | None:
        """The constraint that ``SilhouetteConstraint.tensors`` described, or None if ``tensors`` holds none."""
        if TENSOR_NAMES["camera_to_world"] not in tensors:
            return None
        return cls(**{attribute: tensors[name].numpy() for attribute, name in TENSOR_NAMES.items()})

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything needed to rebuild the constraint, for safetensors."""
        return {name: torch.from_numpy(getattr(self, attribute)) for attribute, name in TENSOR_NAMES.items()}

    def apply(self, points: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """The corrected distances (P,) float32 of world points (P, 3) with distances (P,)."""
        position, depth = project(points, self.camera_to_world, 1)
        peak_depth, offset, silhouette_sdf = (
            sample_bilinear(image, position * len(image))
            for image in (self.peak_depth, self.offset, self.silhouette_sdf)
        )
        lowered = distance - offset * np.clip(1 - ((depth - peak_depth) / WINDOW) ** 2, 0, 1)
        return np.maximum(lowered, silhouette_sdf * depth / FOCAL).astype(np.float32)


def _smallest_distance(
    distance: Distance, camera_to_world: np.ndarray, origins: np.ndarray, directions: np.ndarray, half_side: float
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest distance (R,) that a field has along each ray inside its cube, and the depth (R,) where it is."""
    steps = np.linspace(RADIUS - half_side * 1.5, RADIUS + half_side * 1.5, RAY_STEPS, dtype=np.float32)

    def evaluate(along: np.ndarray) -> np.ndarray:
        """Distances at (R, n) lengths along the rays, inf outside the cube."""
        points = origins[:, None] + directions[:, None] * along[..., None]
        inside = (np.abs(points) < half_side).all(-1)
        values = np.full(inside.shape, np.inf, np.float32)
        values[inside] = distance(points[inside])
        return values

    coarse = evaluate(np.broadcast_to(steps, (len(origins), RAY_STEPS)))
    best = steps[coarse.argmin(1)]
    between = best[:, None] + np.float32(steps[1] - steps[0]) * np.array([-0.5, 0.5], np.float32)
    values = np.hstack([coarse.min(1)[:, None], evaluate(between)])
    row, choice = np.arange(len(values)), values.argmin(1)
    smallest = values[row, choice]
    depth = np.hstack([best[:, None], between])[row, choice] * (directions @ -camera_to_world[:3, 2])
    return np.where(np.isfinite(smallest), smallest, 0), depth


def _blur(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A Gaussian blur, normalized so that nothing leaks in from outside the object."""
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 1.0)
    return np.where(inside, cv2.GaussianBlur(image, (0, 0), 1.0) / np.maximum(weight, 1e-3), 0).astype(np.float32)

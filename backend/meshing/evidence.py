"""What the input image says about a component that a field separates from the rest of the object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .. import camera

SIDE = 96
"""Pixels along a side of the image in which components are compared: about as far apart as the grid's points."""
NEEDED = 0.02
"""Share of the silhouette that a component alone must cover."""


@dataclass(frozen=True)
class InputSilhouette:
    """The object in the input image, the one view that is not generated."""

    mask: np.ndarray
    """(S, S) 0..1."""
    camera_to_world: np.ndarray
    """(4, 4)."""

    def needs(self, component: np.ndarray, rest: np.ndarray) -> bool:
        """Whether the image shows that ``component``, points (P, 3) inside it, belongs to what ``rest`` (Q, 3) is part
        of: without it the same part of the silhouette would not be covered."""
        solid = cv2.resize(self.mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) > 0.5
        covered = cv2.dilate(self._pixels(rest), np.ones((3, 3), np.uint8)) > 0
        _, labels = cv2.connectedComponents(solid.astype(np.uint8))
        same_part = np.isin(labels, np.unique(labels[covered & solid]))
        missing = (self._pixels(component) > 0) & same_part & ~covered
        return bool(missing.sum() >= NEEDED * solid.sum() > 0)

    def _pixels(self, points: np.ndarray) -> np.ndarray:
        """The pixels (SIDE, SIDE) uint8 in which world points lie."""
        pixels, depth = camera.project(points, self.camera_to_world, SIDE)
        columns, rows = np.floor(pixels[depth > 0]).astype(int).T
        framed = (columns >= 0) & (columns < SIDE) & (rows >= 0) & (rows < SIDE)
        image = np.zeros((SIDE, SIDE), np.uint8)
        image[rows[framed], columns[framed]] = 1
        return image

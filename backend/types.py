"""The plain data that walks between the rooms (conventions: docs/architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Cutout:
    """The object of the picture, alone and centered: its longer side fills 75 % of a square canvas."""

    image: np.ndarray
    """(S, S, 4) float32, straight alpha, at the picture's own resolution."""
    method: str
    """How the object was found: ``alpha``, ``rembg`` or ``grabcut``."""
    canvas: tuple[float, float, float]
    """Left, top and side of the canvas in pixels of the original picture."""


@dataclass(frozen=True)
class Views:
    """Posed pictures of one object on white; index 0 is the input picture itself."""

    images: np.ndarray
    """(N, H, W, 3) float32, composited on white."""
    masks: np.ndarray
    """(N, H, W) float32, 1 on the object."""
    camera_to_world: np.ndarray
    """(N, 4, 4) float32, OpenGL axes."""
    names: tuple[str, ...]
    """``input``, then ``0`` .. ``11`` (stage 1) and ``0_0`` .. (stage 2)."""


@dataclass(frozen=True)
class Elevation:
    """How high the picture's camera stood above the object's horizon."""

    degrees: float
    confidence: float
    """0 (a guess) .. 1 (given by the user)."""
    source: str
    """``given``, ``matched``, ``predicted`` or ``default``."""


class Field(Protocol):
    """A signed distance and a color at every point; kept on disk so that rework can start here."""

    half_side: float
    """The field is defined on [-half_side, half_side]^3 in world units."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) float32 world points -> (P,) float32 signed distance, positive outside."""

    def color(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) float32 world points -> (P, 3) float32 sRGB 0..1."""

    def grid_to_world(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) points of the reference grid's cube [-1, 1]^3 -> (P, 3) float32 world points.

        The reference grid is the one on which the network's own method samples distances; it may be rotated in the
        world (One-2-3-45's is aligned with the input camera).
        """

    def tensors(self) -> dict:
        """Everything needed to rebuild the field, as named CPU tensors for safetensors."""


class SurfaceModel(Protocol):
    """A network that reconstructs a field from posed views: ours, or One-2-3-45's."""

    required_views: int | None
    """The only number of generated views that the network accepts; None: any."""

    def reconstruct(self, views: Views, silhouette_constraint: bool = True) -> Field:
        """The field of the object in ``views``, of which the first is the input image.

        silhouette_constraint: correct the field where it contradicts the input image's silhouette, if the network's
        fields support that. Raises UserError ``too_few_views`` where required views are missing.
        """


@dataclass(frozen=True)
class Mesh:
    """Triangles; a closed mesh winds so that normals point outwards."""

    vertices: np.ndarray
    """(V, 3) float32 world units."""
    faces: np.ndarray
    """(F, 3) int32."""


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with a UV texture and a map of where each texel's color came from."""

    mesh: Mesh
    uvs: np.ndarray
    """(F, 3, 2) float32 in 0..1, one per triangle corner, origin bottom-left."""
    texture: np.ndarray
    """(T, T, 3) uint8 sRGB, top row first."""
    confidence: np.ndarray
    """(T, T) uint8: 255 seen in the picture, 170 generated, 85 filled, 0 outside every island."""

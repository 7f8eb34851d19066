"""The shapes that results are compared with: procedural scenes, and what the benchmark needs to know of any shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from backend.data_types import Mesh
from backend.meshing.extraction import isosurface
from backend.meshing.grid_sampling import sample_coarse_to_fine
from backend.meshing.simplify import outer_shell
from procedural.scene import Scene, shade

from .surface_points import SurfacePoints, face_normals
from .topology import genus

RESOLUTION = 192
"""Grid cells along a side of the volume from which a scene's true mesh is extracted."""


class Shape(Protocol):
    """A shape in world space (docs/architecture.md), framed for its input camera, which is at azimuth 0."""

    name: str
    family: str
    group: str
    """A key of ``report.GROUP_TITLES``."""
    elevation: float
    """Of the input camera, in degrees."""

    @property
    def mesh(self) -> Mesh:
        """The true surface."""
        ...

    @property
    def genus(self) -> int | None:
        """Handles of the largest component's outer surface; None where the surface is not closed."""
        ...

    def outside(self, at: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """Which points can be seen from outside (P,) bool, and unit directions (P, 3) in which these are seen."""
        ...

    def normals(self, at: SurfacePoints, directions: np.ndarray) -> np.ndarray:
        """Unit normals (P, 3) on the side that is seen when looking in ``directions`` (P, 3)."""
        ...

    def colors(self, at: SurfacePoints, normals: np.ndarray) -> np.ndarray:
        """Colors (P, 3) sRGB 0..1 under the shape's light."""
        ...


class ProceduralShape(Shape):
    """A procedural scene; its surface is extracted when it is first needed."""

    def __init__(self, scene: Scene, resolution: int | None = None):
        """``resolution`` (default: ``RESOLUTION``) sets the accuracy of the mesh."""
        self.name, self.family, self.group, self.elevation = scene.name, scene.family, scene.group, scene.elevation
        self._scene = scene
        self._resolution = resolution or RESOLUTION

    @cached_property
    def mesh(self) -> Mesh:
        # A scene has the distances and the half side of a field, which is all that this needs.
        values = sample_coarse_to_fine(self._scene, self._resolution)  # pyright: ignore[reportArgumentType]
        vertices, faces = isosurface(values)
        cell = 2 * self._scene.half_side / (len(values) - 1)
        return Mesh((vertices * cell - self._scene.half_side).astype(np.float32), faces)

    @cached_property
    def genus(self) -> int | None:
        shell = outer_shell(self.mesh)
        return None if shell is None else genus(shell.faces)

    def outside(self, at: SurfacePoints) -> tuple[np.ndarray, np.ndarray]:
        """All points: what a scene has inside counts as it always has, and its light depends on no direction."""
        return np.ones(len(at.faces), bool), np.zeros((len(at.faces), 3))

    def normals(self, at: SurfacePoints, directions: np.ndarray) -> np.ndarray:
        """By differences of the distance over a tetrahedron; the face's own where those vanish."""
        corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32)
        normals = sum(corner * self._scene.distance(at.points + 5e-4 * corner)[:, None] for corner in corners)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        flat = face_normals(self.mesh, at.faces)
        return np.where(length > 1e-5, normals / np.maximum(length, 1e-20), flat)

    def colors(self, at: SurfacePoints, normals: np.ndarray) -> np.ndarray:
        return shade(self._scene.color(at.points), normals, self._scene.light).clip(0, 1)


def select_shapes(shapes: Sequence[Shape], counts: Mapping[str, int]) -> list[Shape]:
    """At most ``counts[group]`` shapes of each group, spread evenly over the list."""
    selected = []
    for group in dict.fromkeys(shape.group for shape in shapes):
        members = [shape for shape in shapes if shape.group == group]
        indices = np.linspace(0, len(members) - 1, min(counts[group], len(members))).round().astype(int)
        selected += [members[index] for index in indices]
    return selected

"""Field -> mesh: isosurface, its outer shell, smoothed, within the face budget."""

from __future__ import annotations

import numpy as np

from ..errors import ErrorCode, UserError
from ..progress import OnProgress, ignore_progress
from ..types import Field, Mesh
from . import bridging, grid_sampling, simplify

try:
    from mcubes import marching_cubes as _mcubes
except ImportError:  # PyMCubes has no wheel for Python 3.13 and later, nor for Linux on ARM
    from skimage.measure import marching_cubes as _skimage

    _mcubes = None

CLEARANCE = 0.01
"""How near (in cells) the surface may come to a grid point: keeps vertices apart and triangles from vanishing."""


def extract(
    field: Field,
    resolution: int,
    faces: int,
    on_progress: OnProgress = ignore_progress,
    dense: grid_sampling.Placement | None = None,
) -> Mesh:
    """The field's outer surface as one closed, manifold mesh that winds outwards.

    resolution: grid cells along the field's cube. faces: the budget, met exactly (one less if odd).
    on_progress: called after every block of field points. dense: ask the field at every
    point of the grid that this places, and do not smooth, as One-2-3-45 does (which keeps every piece and every face).
    Raises UserError ``no_object`` when the field has no surface, ``broken_field`` when it is not made of numbers.
    """
    place = dense or grid_sampling.cube(field)
    values = (
        grid_sampling.dense(field, resolution, place, on_progress)
        if dense
        else grid_sampling.sample(field, resolution, on_progress)
    )
    if not np.isfinite(values).all():
        raise UserError(
            ErrorCode.BROKEN_FIELD, "The surface network returned no numbers; fetch or repair its weight file."
        )
    step = 2 / (len(values) - 1)
    cell = step * float(np.linalg.norm(np.subtract(*place(np.array([[1, 0, 0], [0, 0, 0]])))))
    near = np.abs(values) < CLEARANCE * cell
    values[near] = np.copysign(CLEARANCE * cell, values[near])
    mesh = None
    if (values < 0).any():
        if dense:  # of the negated field, as there: where a cell is ambiguous, the two signs are joined differently
            vertices, triangles = isosurface(-values)
            triangles = triangles[:, ::-1]
        else:
            vertices, triangles = isosurface(bridging.join(values, cell))
        mesh = simplify.outer_shell(Mesh(place(vertices * step - 1), triangles))
    if mesh is None:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "No solid object came out of this picture; use one that shows a single whole object clearly.",
        )
    return simplify.fit(mesh if dense else simplify.smooth(mesh), faces)


def isosurface(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero level in cells: vertices (V, 3), faces (F, 3) int32, normals towards positive values."""
    if _mcubes:
        vertices, faces = _mcubes(values, 0)
        return vertices, faces[:, ::-1].astype(np.int32)
    vertices, faces, _, _ = _skimage(values, 0, gradient_direction="descent")
    return vertices, faces.astype(np.int32)

"""Field -> mesh: isosurface, its outer shell, smoothed, within the face budget."""

from __future__ import annotations

import numpy as np

from ..data import Field, Mesh
from ..protocol import UserError
from . import budget, grid

try:
    from mcubes import marching_cubes as _mcubes
except ImportError:  # PyMCubes has no wheel for Python 3.13 and later, nor for Linux on ARM
    from skimage.measure import marching_cubes as _skimage

    _mcubes = None

CLEARANCE = 0.01
"""How near (in cells) the surface may come to a grid point: keeps vertices apart and triangles from vanishing."""


def extract(
    field: Field, resolution: int, faces: int, on_block: grid.OnBlock | None = None, faithful: bool = False
) -> Mesh:
    """The field's outer surface as one closed, manifold mesh that winds outwards.

    resolution: grid cells along the field's cube. faces: the budget, met exactly (one less if odd).
    on_block(done, total): called between blocks of field points; may raise to cancel. faithful: ask the field at every
    point of the grid and do not smooth, as One-2-3-45 does (which also keeps everything else that is below zero).
    Raises UserError ``no_object`` when the field has no surface, ``broken_field`` when it is not made of numbers.
    """
    values = (grid.dense if faithful else grid.sample)(field, resolution, on_block)
    if not np.isfinite(values).all():
        raise UserError("broken_field", "The surface network returned no numbers; fetch or repair its weight file.")
    cell = 2 * field.half_side / (len(values) - 1)
    near = np.abs(values) < CLEARANCE * cell
    values[near] = np.copysign(CLEARANCE * cell, values[near])
    mesh = None
    if (values < 0).any():
        vertices, triangles = isosurface(values)
        mesh = budget.outer_shell(Mesh((vertices * cell - field.half_side).astype(np.float32), triangles))
    if mesh is None:
        raise UserError(
            "no_object", "No solid object came out of this picture; use one that shows a single whole object clearly."
        )
    return budget.fit(mesh if faithful else budget.smooth(mesh), faces)


def isosurface(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero level in cells: vertices (V, 3), faces (F, 3) int32, normals towards positive values."""
    if _mcubes:
        vertices, faces = _mcubes(values, 0)
        return vertices, faces[:, ::-1].astype(np.int32)
    vertices, faces, _, _ = _skimage(values, 0, gradient_direction="descent")
    return vertices, faces.astype(np.int32)

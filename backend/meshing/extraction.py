"""Field -> mesh: the isosurface's outer shell, smoothed and brought to the face budget."""

from __future__ import annotations

import numpy as np

from ..data_types import Field, Mesh
from ..errors import ErrorCode, UserError
from ..progress import OnProgress, ignore_progress
from . import bridging, grid_sampling, handles, simplify
from .evidence import InputSilhouette

try:
    from mcubes import marching_cubes as _mcubes
except ImportError:  # PyMCubes has no wheel for Python 3.13 and later, nor for Linux on ARM
    from skimage.measure import marching_cubes as _skimage

    _mcubes = None

CLEARANCE = 0.01
"""Least distance (in cells) between the surface and a grid point: prevents coincident vertices and empty triangles."""

REACH = 6
"""Cells beyond the width of handles that bridging and closing may look at or fill around the object."""


def extract(
    field: Field,
    resolution: int,
    faces: int,
    on_progress: OnProgress = ignore_progress,
    reference_grid: grid_sampling.GridToWorld | None = None,
    without_handles: bool = False,
    parts: int = 1,
    silhouette: InputSilhouette | None = None,
) -> Mesh:
    """The field's outer surface as one closed, manifold mesh with outward normals.

    resolution: grid cells along a side of the field's cube. faces: the budget, met exactly (one less if odd).
    on_progress: called after every block of field points. reference_grid: maps the cube of the reference grid to the
    world (``Field.grid_to_world``); the field is then evaluated at every grid point and the mesh is not smoothed, as
    One-2-3-45 does (which however keeps all components and faces). without_handles: fill narrow handles,
    not only pinholes. parts: separate objects that the image shows as one, each a component of the mesh.
    silhouette: keeps components that the image shows (``bridging.bridge_components``).
    Raises UserError ``no_object`` if the field has no surface, ``broken_field`` if its values are not finite,
    ``faces_too_few`` if the surface cannot be simplified that far.
    """
    grid_to_world = reference_grid or grid_sampling.field_cube(field)
    values = (
        grid_sampling.sample_reference_grid(field, resolution, reference_grid, on_progress)
        if reference_grid
        else grid_sampling.sample_coarse_to_fine(field, resolution, on_progress)
    )
    if not np.isfinite(values).all():
        raise UserError(
            ErrorCode.BROKEN_FIELD, "The surface network returned invalid numbers: install its weights again."
        )
    step = 2 / (len(values) - 1)
    cell = step * float(np.linalg.norm(np.subtract(*grid_to_world(np.array([[1, 0, 0], [0, 0, 0]])))))
    too_near = np.abs(values) < CLEARANCE * cell
    values[too_near] = np.copysign(CLEARANCE * cell, values[too_near])
    mesh = None
    if (values < 0).any():
        offset = np.zeros(3, int)
        if reference_grid:  # of the negated field, like the reference: the sign decides how ambiguous cells connect
            vertices, triangles = isosurface(-values)
            triangles = triangles[:, ::-1]
        else:

            def is_needed(component: np.ndarray, rest: np.ndarray) -> bool:
                if silhouette is None:
                    return False
                points = (np.argwhere(where) + offset for where in (component, rest))
                return silhouette.needs(*(grid_to_world(each * step - 1) for each in points))

            widest = handles.MAX_WIDTH if without_handles else handles.PINHOLE
            values, offset = _crop(values, int(widest / cell) + REACH)
            values = bridging.bridge_components(values, cell, is_needed)
            values, inner_offset = _crop(handles.close_handles(values, cell, widest), 1)
            offset += inner_offset
            vertices, triangles = isosurface(values)
        mesh = simplify.outer_shell(Mesh(grid_to_world((vertices + offset) * step - 1), triangles), parts)
    if mesh is None:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "No solid object could be reconstructed: use an image that shows a single complete object clearly.",
        )
    return simplify.simplify_to_budget(mesh if reference_grid else simplify.smooth(mesh), faces)


def _crop(values: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of a grid (X, Y, Z) of distances with the object and a margin in grid cells, and its first point."""
    low, high = grid_sampling.extent(values < 0)
    low = np.maximum(low - margin, 0)
    return values[grid_sampling.box(low, high + margin)], low


def isosurface(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The zero level of values (X, Y, Z): vertices (V, 3) in cells, faces (F, 3) int32, normals towards positive."""
    if _mcubes:
        vertices, faces = _mcubes(values, 0)
        return vertices, faces[:, ::-1].astype(np.int32)
    vertices, faces, _, _ = _skimage(values, 0, gradient_direction="descent")
    return vertices, faces.astype(np.int32)

"""The mesh as the reference extracts it: every grid point asked, nothing cleaned, colours at the vertices.

What the reference then writes as OBJ or GLB is a mirror image, (x, y, z) -> (x, z, y); that is left out.
"""

from __future__ import annotations

import numpy as np
import torch

from ..data import Mesh
from ..mesh.extraction import isosurface
from .field import BLOCK, COLOUR_BLOCK, One2345Field


def reference_mesh(field: One2345Field, resolution: int = 256) -> tuple[Mesh, np.ndarray]:
    """The zero level on ``resolution``^3 points over the whole cube, in world units, and its colours (V, 3) uint8."""
    steps = torch.linspace(-1, 1, resolution, device=field.volume.device)
    points = torch.cartesian_prod(steps, steps, steps)
    values = torch.cat([field.distances(block) for block in points.split(BLOCK)]).view([resolution] * 3)
    # Of the negated field, as there: where a cell is ambiguous, the two signs are joined differently.
    vertices, faces = isosurface(-values.cpu().numpy())
    faces = np.ascontiguousarray(faces[:, ::-1])
    vertices = (vertices / (resolution - 1) * 2 - 1).astype(np.float32)
    places = torch.from_numpy(vertices).to(steps.device)
    colours = torch.cat([field.colours(block) for block in places.split(COLOUR_BLOCK)]).cpu().numpy()
    return Mesh(field.frame.to_world(vertices), faces), (colours * 255).clip(0, 255).astype(np.uint8)

"""How many handles a surface has."""

from __future__ import annotations

import manifold3d
import numpy as np

from backend.data_types import Mesh
from backend.meshing.measurement import component_labels, edges, has_single_fans, is_watertight


def genus(faces: np.ndarray) -> int | None:
    """Handles of all components of faces (F, 3) together; None unless they are closed and manifold."""
    if not (is_watertight(faces) and has_single_fans(faces)):
        return None
    euler = int(faces.max()) + 1 - len(edges(faces)) + len(faces)
    return len(np.unique(component_labels(faces))) - euler // 2


def genus_of_union(mesh: Mesh) -> int | None:
    """Handles of the largest component that the mesh's parts make when those that intersect are joined (a chair's legs
    and its seat); None where the mesh is not closed."""
    if not is_watertight(mesh.faces):
        return None
    whole = manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))
    parts = [part for part in whole.decompose() if part.volume() > 0]
    if whole.status() != manifold3d.Error.NoError or not parts:
        return None
    joined = manifold3d.Manifold.batch_boolean(parts, manifold3d.OpType.Add).decompose()
    return max(joined, key=lambda part: part.volume()).genus()

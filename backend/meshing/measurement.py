"""Measured properties of a mesh: watertight, manifold, components, genus, volume."""

from __future__ import annotations

from typing import Any

import manifold3d
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..data_types import Mesh


def measure(mesh: Mesh) -> dict[str, Any]:
    """A mesh's properties, as JSON values.

    ``watertight``: every edge belongs to two faces that traverse it in opposite directions. ``manifold``: watertight, a
    single fan of faces around every vertex, no coincident vertices, and accepted by manifold3d. ``genus`` is the sum
    over the components, None if the mesh is not manifold. Lengths and volume are in world units, the volume is positive
    if normals point outwards.
    """
    watertight = is_watertight(mesh.faces)
    manifold = (
        watertight and has_single_fans(mesh.faces) and not len(duplicate_vertices(mesh.vertices)) and _is_accepted(mesh)
    )
    components = len(np.unique(component_labels(mesh.faces)))
    euler = len(mesh.vertices) - len(edges(mesh.faces)) + len(mesh.faces)
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "watertight": bool(watertight),
        "manifold": bool(manifold),
        "components": components,
        "genus": components - euler // 2 if manifold else None,
        "volume": float(volumes(mesh).sum()),
        "bounding_box": [low.tolist(), high.tolist()],
        "longest_side": float((high - low).max()),
    }


def edges(faces: np.ndarray) -> np.ndarray:
    """The undirected edges of faces (F, 3): (E, 2), without duplicates."""
    halves = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64), axis=1)
    keys = np.unique(halves[:, 0] << 32 | halves[:, 1])
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], -1)


def component_labels(faces: np.ndarray) -> np.ndarray:
    """The component label of every face (F,); faces are connected by shared vertices."""
    count = int(faces.max()) + 1
    a, b = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    return connected_components(coo_array((np.ones(len(a)), (a, b)), (count, count)), directed=False)[1][faces[:, 0]]


def volumes(mesh: Mesh) -> np.ndarray:
    """Signed volumes (F,) of the tetrahedra between the faces and the origin."""
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces].astype(np.float64), 1, 0)
    return np.einsum("fd,fd->f", a, np.cross(b, c)) / 6


def is_watertight(faces: np.ndarray) -> bool:
    """Whether every directed edge occurs once, and so does its reverse."""
    halves = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
    forward = np.sort(halves[:, 0] << 32 | halves[:, 1])
    backward = np.sort(halves[:, 1] << 32 | halves[:, 0])
    proper = (halves[:, 0] != halves[:, 1]).all()
    return bool(proper and (np.diff(forward) > 0).all() and np.array_equal(forward, backward))


def has_single_fans(faces: np.ndarray) -> bool:
    """Whether the faces around every vertex of a watertight mesh form one fan, and every vertex is used.

    A corner's neighbor in its fan is the corner at the same vertex across the edge that starts there.
    """
    corners = np.arange(faces.size).reshape(-1, 3)
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    forward, backward = np.argsort(start << 32 | end), np.argsort(end << 32 | start)
    # half-edge i runs v -> w; its twin w -> v ends at v, the next corner of the twin's face
    across = np.roll(corners, -1, axis=1).ravel()[backward]
    links = coo_array((np.ones(faces.size), (forward, across)), (faces.size,) * 2)
    fans = connected_components(links, directed=False)[0]
    return fans == len(np.unique(faces)) == int(faces.max()) + 1


def duplicate_vertices(vertices: np.ndarray) -> np.ndarray:
    """Indices of the vertices (V, 3) that coincide exactly with another one; the first of each position is left out."""
    order = np.lexsort(vertices.T)
    same = (vertices[order[1:]] == vertices[order[:-1]]).all(1)
    return order[1:][same]


def _is_accepted(mesh: Mesh) -> bool:
    solid = manifold3d.Manifold(manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)))
    return solid.status() == manifold3d.Error.NoError and not solid.is_empty()

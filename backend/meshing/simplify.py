"""Simplify a closed mesh to a face budget such that it stays manifold."""

from __future__ import annotations

import fast_simplification
import manifold3d
import numpy as np
from scipy.sparse import coo_array

from ..bounding_boxes import bounding_boxes
from ..data_types import Mesh
from ..errors import ErrorCode, UserError
from .measurement import component_labels, duplicate_vertices, edges, volumes

DEBRIS = 0.02
"""Share of a mesh's longest side; shorter components that come off it are dropped."""
FEWEST_FACES = 8
"""Of a prism over a triangle, the simplest rod; what comes off with fewer is a sliver of a fold."""
PART = 0.02
"""Share of the largest component's volume from which on another one can be a part of the object."""


def outer_shell(mesh: Mesh, parts: int = 1) -> Mesh | None:
    """The component that encloses the largest volume, of an object in several ``parts`` that many at most; None if no
    volume is positive (cavities are negative)."""
    if not len(mesh.faces):
        return None
    labels = component_labels(mesh.faces)
    enclosed = np.bincount(labels, volumes(mesh))
    if enclosed.max() <= 0:
        return None
    largest = np.argsort(-enclosed, kind="stable")[: max(parts, 1)]
    return _of_faces(mesh, np.isin(labels, largest[enclosed[largest] >= PART * enclosed.max()]))


def without_debris(mesh: Mesh) -> Mesh | None:
    """The components that enclose a volume and are neither tiny nor slivers, or None if there is none."""
    if not len(mesh.faces):
        return None
    labels = component_labels(mesh.faces)
    longest = bounding_boxes(mesh.vertices[mesh.faces], labels)[1].max(1)
    kept = (np.bincount(labels, volumes(mesh)) > 0) & (np.bincount(labels) >= FEWEST_FACES)
    kept &= longest > DEBRIS * np.ptp(mesh.vertices, axis=0).max()
    return _of_faces(mesh, kept[labels]) if kept.any() else None


def _of_faces(mesh: Mesh, kept: np.ndarray) -> Mesh:
    used, faces = np.unique(mesh.faces[kept], return_inverse=True)
    return Mesh(mesh.vertices[used], faces.reshape(-1, 3).astype(np.int32))


def smooth(mesh: Mesh, iterations: int = 10) -> Mesh:
    """Smoothing of a closed mesh that does not shrink the object (Taubin, A Signal Processing Approach to Fair Surface
    Design, 1995)."""
    count = len(mesh.vertices)
    starts, ends = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()  # every edge, once in each direction
    links = coo_array((np.ones(len(starts)), (starts, ends)), (count, count)).tocsr()
    links.data /= links.sum(1).repeat(np.diff(links.indptr))  # a row's product is the mean of a vertex's neighbors
    vertices = mesh.vertices.astype(np.float64)
    for _ in range(iterations):
        for step in (0.5, -0.53):
            vertices += step * (links @ vertices - vertices)
    return Mesh(vertices.astype(np.float32), mesh.faces)


def simplify_to_budget(mesh: Mesh, faces: int) -> Mesh:
    """A closed manifold mesh with exactly ``faces`` faces (one less if that is odd: closed meshes have even counts).

    Quadric edge collapses (Garland and Heckbert 1997) may create non-manifold edges and vertices, above all where a
    part hangs on a thin one. manifold3d splits these; what comes off then is a component that touches the rest, or
    debris, which is dropped. Splits of the longest edges restore the faces lost.
    Raises UserError ``faces_too_few`` if the collapses stop above the budget.
    """
    faces -= faces % 2
    shell = make_manifold(mesh)  # and in an order of vertices in which collapses pinch fewer thin walls
    if len(shell.faces) <= faces:
        shell = without_debris(shell)
    while shell and len(shell.faces) > faces:
        before = len(shell.faces)
        collapsed = Mesh(*fast_simplification.simplify(shell.vertices, shell.faces, target_count=faces))
        shell = without_debris(make_manifold(collapsed))
        if shell and len(shell.faces) == before:
            shell = None
    if shell is None:
        raise UserError(ErrorCode.FACES_TOO_FEW, f"The object is too complex for {faces} faces: allow more.")
    while len(shell.faces) < faces:
        shell = _split_longest_edges(shell, (faces - len(shell.faces)) // 2)
    return separate_duplicates(shell)


def make_manifold(mesh: Mesh) -> Mesh:
    """The mesh with non-manifold edges and vertices split: two faces at every edge, one fan at every vertex."""
    solid = manifold3d.Manifold(
        manifold3d.Mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    ).to_mesh()
    return Mesh(np.array(solid.vert_properties[:, :3]), np.array(solid.tri_verts, np.int32))


def _split_longest_edges(mesh: Mesh, count: int) -> Mesh:
    """Split up to ``count`` edges at their midpoints, each the longest of both its faces; a split adds two faces."""
    ends = edges(mesh.faces)
    order = np.argsort(-np.linalg.norm(mesh.vertices[ends[:, 0]] - mesh.vertices[ends[:, 1]], axis=1), kind="stable")
    rank = np.empty(len(ends), int)
    rank[order] = np.arange(len(ends))
    halves = np.stack([mesh.faces, np.roll(mesh.faces, -1, axis=1)], -1).astype(np.int64)
    keys = halves.min(-1) << 32 | halves.max(-1)
    edge = np.searchsorted(ends[:, 0] << 32 | ends[:, 1], keys)  # (F, 3): side k runs from corner k to corner k + 1
    side = rank[edge].argmin(1)
    longest = edge[np.arange(len(edge)), side]
    longest_of_both = np.flatnonzero(np.bincount(longest, minlength=len(ends)) == 2)
    chosen = longest_of_both[np.argsort(rank[longest_of_both])][:count]
    midpoint = np.full(len(ends), -1)
    midpoint[chosen] = len(mesh.vertices) + np.arange(len(chosen))

    split = midpoint[longest] >= 0
    rows, k = np.flatnonzero(split), side[split]
    start, end, tip = (mesh.faces[rows, (k + step) % 3] for step in range(3))
    center = midpoint[longest[rows]]
    new = np.concatenate([np.stack([start, center, tip], -1), np.stack([center, end, tip], -1)])
    vertices = np.concatenate([mesh.vertices, mesh.vertices[ends[chosen]].mean(1)])
    return Mesh(vertices, np.concatenate([mesh.faces[~split], new]).astype(np.int32))


def separate_duplicates(mesh: Mesh) -> Mesh:
    """Move coincident vertices apart along their longest edges, so that merging by position changes nothing."""
    vertices = mesh.vertices.copy()
    while len(duplicates := duplicate_vertices(vertices)):
        a, b = edges(mesh.faces).T
        starts, ends = np.r_[a, b], np.r_[b, a]
        by_start = np.argsort(starts, kind="stable")
        starts, ends = starts[by_start], ends[by_start]
        for step, vertex in enumerate(duplicates):
            first, last = np.searchsorted(starts, [vertex, vertex + 1])
            directions = vertices[ends[first:last]] - vertices[vertex]
            # different steps, because duplicates at adjacent indices may have the same neighbors
            vertices[vertex] += 0.02 * (1 + step % 5) * directions[np.linalg.norm(directions, axis=1).argmax()]
    return Mesh(vertices, mesh.faces)

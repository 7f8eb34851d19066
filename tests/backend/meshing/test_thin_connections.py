"""What hangs on a thin part stays, however few faces are left: quadric edge collapses pinch such parts off."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from backend.data_types import Mesh
from backend.meshing import extraction, simplify
from backend.meshing.measurement import measure, volumes
from tests.helpers import fields

GRID = np.stack(np.meshgrid(*[np.arange(80, dtype=np.float32)] * 3, indexing="ij"), -1)


def ball(center, radius) -> np.ndarray:
    return fields.ball(GRID, radius, center)


def shell(center, radius) -> np.ndarray:
    """A hollow ball with a wall of two cells."""
    return np.abs(ball(center, radius)) - 1


def rod(start, end, radius=0.7) -> np.ndarray:
    start, axis = np.float32(start), np.subtract(end, start).astype(np.float32)
    fraction = np.clip(((GRID - start) @ axis) / (axis @ axis), 0, 1)
    return np.linalg.norm(GRID - start - fraction[..., None] * axis, axis=-1) - radius


OBJECTS = {
    "two balls": (ball((20, 40.3, 40.2), 14), ball((58, 41, 39), 16), rod((30, 40, 40), (50, 41, 39))),
    "two shells": (shell((20, 40.3, 40.2), 14), shell((58, 41, 39), 16), rod((34, 40, 40), (42, 41, 39))),
    "lamp": (shell((40, 40, 55), 18), ball((40, 40, 14), 11), rod((40.4, 40.2, 20), (40.4, 40.2, 38), 0.65)),
    "three balls": (
        ball((14, 40, 40), 10), ball((40, 40.4, 40.3), 10), ball((66, 40, 40), 10),
        rod((20, 40, 40), (34, 40.4, 40), 0.6), rod((46, 40.4, 40), (60, 40, 40), 0.6),
    ),
    "antennas": (
        ball((40, 40, 30), 20), rod((40, 40, 48), (40, 40, 74), 0.8), ball((40, 40, 74), 2.5),
        rod((50, 46, 45), (60, 56, 70), 0.8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("faces", [500, 1500, 5000])
@pytest.mark.parametrize("name", OBJECTS)
def test_parts_on_thin_connections_stay(name, faces):
    vertices, triangles = extraction.isosurface(np.minimum.reduce(OBJECTS[name]).astype(np.float32))
    shell = simplify.outer_shell(Mesh(vertices.astype(np.float32), triangles))
    simplified = simplify.simplify_to_budget(simplify.smooth(shell), faces)
    about = measure(simplified)
    assert about["manifold"] and about["faces"] == faces and about["components"] <= len(OBJECTS[name])
    assert about["volume"] == pytest.approx(volumes(shell).sum(), rel=0.05)
    points = simplified.vertices[simplified.faces].mean(1)
    spread = np.concatenate([points, simplified.vertices, _midpoints(simplified)])
    assert KDTree(spread).query(shell.vertices)[0].max() < 0.12 * 80  # nothing of the object is far from the mesh


def _midpoints(mesh: Mesh) -> np.ndarray:
    corners = mesh.vertices[mesh.faces]
    return ((corners + np.roll(corners, 1, axis=1)) / 2).reshape(-1, 3)

"""Distances and winding numbers in Triton against trimesh's, on small meshes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from trimesh.proximity import closest_point_naive

from training import mesh_distance
from training.mesh_distance import nearest_distances, winding_numbers


def _sheet() -> trimesh.Trimesh:
    return trimesh.Trimesh([[-0.4, -0.3, 0], [0.4, -0.3, 0], [0.4, 0.3, 0.1], [-0.4, 0.3, 0.1]], [[0, 1, 2], [0, 2, 3]])


def _doubled(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, np.concatenate([mesh.faces, mesh.faces[:, ::-1]]), process=False)


CLOSED = {
    "box": trimesh.creation.box((0.7, 0.4, 0.9)),
    "thin box": trimesh.creation.box((0.8, 0.01, 0.5)),
    "tetrahedron": trimesh.convex.convex_hull([[0, 0, 0], [0.4, 0, 0], [0, 0.5, 0], [0.1, 0.1, 0.4]]),
    "torus": trimesh.creation.torus(0.35, 0.12, major_sections=8, minor_sections=6),
}
OPEN = {"sheet": _sheet(), "doubled sheet": _doubled(_sheet()), "doubled box": _doubled(CLOSED["box"])}


@pytest.fixture(autouse=True)
def one_program(monkeypatch):
    monkeypatch.setattr(mesh_distance, "BLOCK", 1024)  # the interpreter takes as long for more points at once


def stack(meshes: list[trimesh.Trimesh]) -> tuple[torch.Tensor, torch.Tensor]:
    """Triangles (B, F, 3, 3), padded with a triangle that must not count, and their numbers."""
    most = max(len(mesh.faces) for mesh in meshes)
    triangles = torch.zeros(len(meshes), most, 3, 3)
    for padded, mesh in zip(triangles, meshes, strict=True):
        padded[: len(mesh.faces)] = torch.tensor(mesh.triangles)
    return triangles, torch.tensor([len(mesh.faces) for mesh in meshes], dtype=torch.int32)


def query_points(mesh: trimesh.Trimesh) -> np.ndarray:
    rng = np.random.default_rng(0)
    near = mesh.triangles_center[rng.integers(0, len(mesh.faces), 150)] + rng.normal(0, 0.02, (150, 3))
    return np.concatenate([near, rng.uniform(-0.6, 0.6, (150, 3))])


@pytest.mark.parametrize("name", [*CLOSED, *OPEN])
def test_distances_equal_trimeshs(name):
    mesh = (CLOSED | OPEN)[name]
    points = query_points(mesh)
    expected = closest_point_naive(mesh, points)[1]
    triangles, counts = stack([CLOSED["tetrahedron"], mesh])
    found = nearest_distances(triangles, counts, torch.from_numpy(points).float().expand(2, -1, -1))
    np.testing.assert_allclose(found[1], expected, atol=1e-5)


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_inside_equals_trimeshs(name):
    mesh = CLOSED[name]
    points = query_points(mesh)
    found = winding_numbers(*stack([mesh]), torch.from_numpy(points).float()[None])[0].numpy()
    inside = mesh.contains(points)
    assert inside.any() and not inside.all()
    np.testing.assert_allclose(found, inside, atol=2e-3)


def test_a_point_on_a_corner_or_an_edge_is_at_distance_zero():
    mesh = CLOSED["box"]
    points = np.concatenate([mesh.vertices, mesh.vertices[mesh.edges_unique].mean(1)])
    found = nearest_distances(*stack([mesh]), torch.from_numpy(points).float()[None])
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_a_triangle_without_area_is_its_longest_edge():
    triangle = torch.tensor([[[[-0.5, 0, 0], [0.5, 0, 0], [0.1, 0, 0]]]])
    points = torch.tensor([[[0.0, 0.3, 0], [0.7, 0, 0], [0.2, 0, 0.1]]])
    found = nearest_distances(triangle, torch.tensor([1], dtype=torch.int32), points)
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.2, 0.1]]))


def test_overlapping_boxes_wind_twice_and_duplicate_faces_not_at_all():
    boxes = [CLOSED["box"], CLOSED["box"].copy().apply_translation((0.3, 0, 0))]
    union = trimesh.util.concatenate(boxes)
    points = torch.tensor([[[0.15, 0, 0], [-0.2, 0, 0], [0.5, 0, 0], [0.9, 0, 0]]])
    found = winding_numbers(*stack([union]), points)
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0, 1.0, 0.0]]), atol=2e-3, rtol=0)
    found = winding_numbers(*stack([OPEN["doubled box"]]), points)
    torch.testing.assert_close(found, torch.zeros(1, 4), atol=2e-3, rtol=0)

"""Meshes as solids: their inside, their surface, and depth maps of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

from backend.camera import camera_to_world
from procedural import triton_depth, triton_renderer
from procedural.families.materials import solid
from procedural.families.primitives import box, to_rows
from procedural.schema import IDENTITY_TRANSFORM
from procedural.triton_depth import BEYOND
from tests.helpers.patterns import pattern_of_kind, patterned
from training import mesh_distance
from training.mesh_rasterizer import MeshBatch
from training.patterns import LENGTH, Kind
from training.solid_meshes import SolidMeshes

SIDES = (0.6, 0.5, 0.4)
HALF_SIDE = 0.6


@pytest.fixture(autouse=True)
def one_program(monkeypatch):
    monkeypatch.setattr(mesh_distance, "BLOCK", 1024)  # the interpreter takes as long for more points at once


def concatenate(first: trimesh.Trimesh, second: trimesh.Trimesh) -> trimesh.Trimesh:
    both = trimesh.util.concatenate([first, second])
    assert isinstance(both, trimesh.Trimesh)
    return both


def two_boxes() -> trimesh.Trimesh:
    """A long box through a wide one: a sixth of the long one's surface is hidden."""
    return concatenate(trimesh.creation.box((1.0, 0.1, 0.1)), trimesh.creation.box((0.3, 0.3, 0.3)))


def with_inner_box() -> trimesh.Trimesh:
    """A box with another one inside, whose faces point outward too: nothing of it is surface."""
    return concatenate(trimesh.creation.box(SIDES), trimesh.creation.box((0.2, 0.2, 0.2)))


def batch(*meshes: trimesh.Trimesh, second: trimesh.Trimesh | None = None) -> MeshBatch:
    """Gray meshes, padded to the largest; the last is joined by ``second``."""
    joined = len(second.faces) if second else 0
    if second:
        meshes = *meshes[:-1], concatenate(meshes[-1], second)
    most = max(len(mesh.faces) for mesh in meshes)
    triangles, normals = torch.zeros(2, len(meshes), most, 3, 3)
    for number, mesh in enumerate(meshes):
        triangles[number, : len(mesh.faces)] = torch.tensor(mesh.triangles)
        normals[number, : len(mesh.faces)] = torch.tensor(mesh.face_normals)[:, None]
    count = len(meshes)
    return MeshBatch(
        triangles, normals, torch.zeros(count, most, 3, 2),
        torch.tensor([len(mesh.faces) for mesh in meshes], dtype=torch.int32),
        torch.tensor([0] * (count - 1) + [joined], dtype=torch.int32),
        torch.full((count, 4, 4, 3), 128, dtype=torch.uint8), torch.tensor([[0.0, 0, 1, 0.5]]).expand(count, -1),
        torch.eye(3, 4).expand(count, -1, -1), 2 * triangles, torch.zeros(count, 2, LENGTH),
    )  # fmt: skip


def inverted(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces[:, ::-1], process=False)


@pytest.mark.parametrize(
    "make", [with_inner_box, lambda: trimesh.creation.box(SIDES), lambda: inverted(with_inner_box())]
)
def test_a_box_has_a_boxs_distances_whatever_is_inside_and_whichever_way_it_winds(make):
    points = (torch.rand(1, 300, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 1.1
    beyond = points.abs() - torch.tensor(SIDES) / 2
    expected = beyond.clamp_min(0).norm(dim=-1) + beyond.amax(-1).clamp_max(0)
    torch.testing.assert_close(SolidMeshes(batch(make())).distance(points), expected, atol=1e-5, rtol=0)


def test_surface_points_are_spread_over_the_outside_only():
    torch.manual_seed(0)
    points, colors = SolidMeshes(batch(two_boxes(), with_inner_box())).sample_surface(2000)
    long, wide = (points[0].abs() - torch.tensor(sides) / 2 for sides in ((1.0, 0.1, 0.1), (0.3, 0.3, 0.3)))
    inside = torch.minimum(long.amax(-1), wide.amax(-1))
    assert (inside.abs() < 1e-4).float().mean() > 0.99  # on the union, not in it
    share = (wide.amax(-1) > 1e-4).float().mean()  # what sticks out of the wide box
    assert abs(share - (0.7 * 0.4 + 0.02) / (0.7 * 0.4 + 0.02 + 6 * 0.09 - 0.02)) < 0.04
    assert ((points[1].abs() / (torch.tensor(SIDES) / 2)).amax(-1) > 0.999).all()
    # light from above, half ambient: albedo .5 on top, and the sky's share below
    top = points[1, :, 2] > SIDES[2] / 2 - 1e-4
    torch.testing.assert_close(colors[1][top], torch.full((int(top.sum()), 3), 128 / 255), atol=1e-3, rtol=0)
    bottom = points[1, :, 2] < -SIDES[2] / 2 + 1e-4
    torch.testing.assert_close(colors[1][bottom], torch.full((int(bottom.sum()), 3), 64 / 255), atol=1e-3, rtol=0)


def joined_boxes() -> SolidMeshes:
    """A box; then another one, and a mirrored one that reaches into it from above."""
    lid = trimesh.creation.box((0.3, 0.3, 0.3), trimesh.transformations.translation_matrix((0, 0, 0.3)))
    return SolidMeshes(batch(trimesh.creation.box(SIDES), trimesh.creation.box(SIDES), second=inverted(lid)))


def test_distances_of_joined_objects_are_those_to_the_nearer_one():
    points = (torch.rand(1, 400, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 1.1
    beyond = points.abs() - torch.tensor(SIDES) / 2, (points - torch.tensor([0, 0, 0.3])).abs() - 0.15
    first, second = (b.clamp_min(0).norm(dim=-1) + b.amax(-1).clamp_max(0) for b in beyond)
    assert ((first < 0) & (second < 0)).any()  # where both windings together are none
    found = joined_boxes().distance(points.expand(2, -1, -1))
    torch.testing.assert_close(found[1:], torch.minimum(first, second), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:1], first, atol=1e-5, rtol=0)


def test_surface_of_joined_objects_has_nothing_that_is_hidden_in_either():
    torch.manual_seed(0)
    solids = joined_boxes()
    points, _ = solids.sample_surface(500)
    assert (solids.distance(points).abs() < 1e-4).float().mean() > 0.99
    assert (points[1, :, 2] > 0.2 + 1e-4).float().mean() > 0.2 and points[0, :, 2].max() < 0.2 + 1e-4


def test_surface_of_joined_objects_has_their_patterns():
    torch.manual_seed(0)
    lid = trimesh.creation.box((0.3, 0.3, 0.3), trimesh.transformations.translation_matrix((0, 0, 0.35)))
    meshes = batch(trimesh.creation.box(SIDES), second=lid)
    rows = np.stack([pattern_of_kind(kind) for kind in (Kind.WAVES, Kind.MARBLE)])
    meshes = dataclasses.replace(meshes, patterns=torch.from_numpy(rows)[None], lights=torch.tensor([[0.0, 0, 1, 1]]))
    points, colors = (values[0].numpy() for values in SolidMeshes(meshes).sample_surface(500))
    gray = np.full_like(points, 128 / 255)
    box, above = (patterned(row, 2 * points.astype(float), gray) for row in rows)
    np.testing.assert_allclose(colors, np.where(points[:, 2:] > 0.2 + 1e-4, above, box), atol=2e-3)


def test_a_sheet_encloses_nothing():
    sheet = trimesh.Trimesh([[-0.4, -0.3, 0], [0.4, -0.3, 0], [0.4, 0.3, 0]], [[0, 1, 2]])
    doubled = trimesh.Trimesh(sheet.vertices, [[0, 1, 2], [2, 1, 0]], process=False)
    solids = SolidMeshes(batch(sheet, doubled, trimesh.creation.box(SIDES)))
    assert solids.is_solid.tolist() == [False, False, True]
    assert SolidMeshes(batch(trimesh.creation.box(SIDES), second=sheet)).is_solid.tolist() == [False]
    chosen = solids[torch.tensor([2, 2])]
    assert chosen.is_solid.all() and len(chosen.meshes.triangles) == 2


def check_depths(solids: SolidMeshes, *boxes: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    """Compare with the depths of procedural boxes, given by their centers and sides."""
    size = 16
    cameras = torch.from_numpy(camera_to_world(np.float64([[60, 15, 110]]), np.float64([[20, 100, 250]])))
    found = solids.depths(cameras, size, HALF_SIDE).float()
    gray = solid((0.5, 0.5, 0.5))
    rows = to_rows([box(center, tuple(side / 2 for side in sides), gray, rounding=0.0) for center, sides in boxes])
    scenes = triton_renderer.from_numpy([(rows, np.float32(IDENTITY_TRANSFORM), np.float32([0, 0, 1, 0.5]))], "cpu")
    expected = triton_depth.depths(scenes, cameras, size, HALF_SIDE).float()
    assert ((found == BEYOND) == (expected == BEYOND)).float().mean() > 0.99
    both = (found < BEYOND) & (expected < BEYOND)
    assert both.float().mean() > 0.1
    # where a ray grazes an edge, both search methods may be off by the step into the object
    assert ((found - expected)[both].abs() < 0.02).float().mean() > 0.97


@pytest.mark.parametrize("make", [with_inner_box, lambda: inverted(with_inner_box())])
def test_depths_are_those_of_the_same_procedural_box(make):
    check_depths(SolidMeshes(batch(make())), ((0, 0, 0), SIDES))


def test_depths_of_joined_objects_are_those_of_their_union():
    check_depths(joined_boxes()[torch.tensor([1])], ((0, 0, 0), SIDES), ((0, 0, 0.3), (0.3, 0.3, 0.3)))

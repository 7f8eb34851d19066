"""Scenes made of the objects of packs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.camera import camera_to_world, project
from objects.pack import write_pack
from procedural.normalization import FRAME_FILL, MAX_COORDINATE
from tests.helpers.training_runs import cube
from training.deformation import STRONGEST, deform, sample_deformations
from training.object_library import ObjectLibrary


@pytest.fixture
def pack(tmp_path):
    write_pack(tmp_path / "pack.npz", [cube(number) for number in (49, 50, 51)])
    return tmp_path / "pack.npz"


def test_training_never_gets_the_benchmarks_objects(pack):
    assert ObjectLibrary.from_packs([pack], "cpu").ids.tolist() == [49, 51]
    assert ObjectLibrary.from_packs([pack], "cpu", test=True).ids.tolist() == [50]


def test_objects_fill_the_input_frame_and_fit_the_volume():
    library = ObjectLibrary([cube(1), cube(2, (0.1, 0.1, 1.0))], np.ones(2), "cpu")
    rng = np.random.default_rng(0)
    meshes, elevations = library.scenes(np.array([0, 1, 0]), rng, stretch=np.array([[-1.2, 1, 1]] * 3))
    for triangles, elevation in zip(meshes.triangles, elevations, strict=True):
        points = triangles.reshape(-1, 3).numpy()
        assert np.abs(points).max() < MAX_COORDINATE + 1e-4
        pixels, _ = project(points, camera_to_world(90 - elevation, 0.0), 1)
        np.testing.assert_allclose((pixels.min(0) + pixels.max(0)) / 2, 0.5, atol=0.01)
        side = np.ptp(pixels, axis=0).max()
        assert side == pytest.approx(FRAME_FILL, abs=0.01) or np.abs(points).max() > MAX_COORDINATE - 1e-3


def test_joined_objects_fill_the_input_frame_too():
    library = ObjectLibrary([cube(1), cube(2, (0.1, 0.1, 1.0))], np.ones(2), "cpu")
    meshes, elevations = library.sample(30, np.random.default_rng(0), joined_share=0.5)
    assert set(meshes.counts.tolist()) == {12, 24}
    for triangles, count, elevation in zip(meshes.triangles, meshes.counts, elevations, strict=True):
        points = triangles[:count].reshape(-1, 3).numpy()
        assert np.abs(points).max() < MAX_COORDINATE + 1e-4
        pixels, _ = project(points, camera_to_world(90 - elevation, 0.0), 1)
        np.testing.assert_allclose((pixels.min(0) + pixels.max(0)) / 2, 0.5, atol=0.01)


def test_normals_stay_perpendicular_when_objects_are_stretched_and_mirrored():
    library = ObjectLibrary([cube(1)], np.ones(1), "cpu")
    meshes, _ = library.scenes(np.array([0]), np.random.default_rng(0), stretch=np.array([[-1.3, 0.8, 1.1]]))
    edges = meshes.triangles[0, :, 1:] - meshes.triangles[0, :, :1]
    winding = torch.cross(edges[:, 0], edges[:, 1], dim=-1)
    for corner in range(3):
        normals = torch.nn.functional.normalize(meshes.normals[0, :, corner], dim=-1)
        cosine = (normals * torch.nn.functional.normalize(winding, dim=-1)).sum(-1)
        torch.testing.assert_close(cosine, torch.ones(12), atol=2e-3, rtol=0)


@pytest.mark.parametrize("strengths", [(1, 0, 0), (0, -1, 0), (0, 0, 1), (-1, 1, -1)])
def test_normals_stay_perpendicular_when_objects_are_bent(strengths):
    """A finely divided plane in every direction: each corner's normal is the bent triangle's, on the same side."""
    rng = np.random.default_rng(1)
    frames = np.linalg.qr(rng.standard_normal((40, 3, 3)))[0].astype(np.float32)
    frames[:, :, 2] *= np.linalg.det(frames)[:, None]
    corner = rng.uniform(-0.9, 0.9, (40, 3)).astype(np.float32)
    triangles = torch.from_numpy(np.stack([corner, corner + 0.01 * frames[..., 0], corner + 0.01 * frames[..., 1]], 1))
    normals = torch.from_numpy(frames[:, None, :, 2]).expand(-1, 3, -1)
    amounts = torch.from_numpy(np.float32(strengths) * STRONGEST)[None]
    moved, bent = deform(triangles[None], normals[None], amounts)
    assert (moved - triangles).abs().max() > 0.05
    winding = torch.cross(moved[0, :, 1] - moved[0, :, 0], moved[0, :, 2] - moved[0, :, 0], dim=-1)
    cosine = (bent[0] * torch.nn.functional.normalize(winding, dim=-1)[:, None]).sum(-1)
    assert cosine.min() > 0.998


def test_most_objects_stay_as_they_are():
    amounts = sample_deformations(2000, np.random.default_rng(0))
    assert 0.25 < (amounts != 0).any(1).mean() < 0.45 and (np.abs(amounts) <= STRONGEST).all()
    triangles, normals = torch.rand(2, 5, 3, 3), torch.rand(2, 5, 3, 3)
    moved, bent = deform(triangles, normals, torch.tensor([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0]]))
    assert torch.equal(moved[0], triangles[0]) and not torch.equal(moved[1], triangles[1])
    assert torch.equal(torch.nn.functional.normalize(normals[0], dim=-1), bent[0])

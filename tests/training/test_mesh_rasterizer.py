"""The Triton rasterizer against a plain renderer: every sample's ray against every triangle, in world space."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.camera import camera_to_world
from tests.helpers.patterns import pattern_of_kind, patterned
from tests.helpers.ray_casting import intersect, rays
from training.mesh_rasterizer import MeshBatch, render_depths, render_meshes
from training.patterns import LENGTH, Kind

SIZE = 8
COUNTS = 70, 5
"""More triangles than are tested together, and fewer."""
SECOND_COUNTS = 30, 0
"""Those of the first mesh's second object."""


@pytest.fixture(scope="module")
def meshes() -> MeshBatch:
    rng = np.random.default_rng(0)
    triangles = torch.zeros(2, max(COUNTS), 3, 3)
    for mesh, count in zip(triangles, COUNTS, strict=True):
        corners = rng.uniform(-0.35, 0.35, (count, 1, 3)) + rng.uniform(-0.25, 0.25, (count, 3, 3))
        mesh[:count] = torch.from_numpy(corners).float()
    flat = torch.cross(triangles[:, :, 1] - triangles[:, :, 0], triangles[:, :, 2] - triangles[:, :, 0], dim=-1)
    flat = torch.nn.functional.normalize(flat, dim=-1)[:, :, None]
    # Smooth ones: at the edge of a stripe, rounding decides.
    patterns = torch.zeros(2, 2, LENGTH)
    patterns[0] = torch.from_numpy(np.stack([pattern_of_kind(kind) for kind in (Kind.WAVES, Kind.MARBLE)]))
    return MeshBatch(
        triangles,
        flat + 0.3 * torch.from_numpy(rng.normal(size=triangles.shape)).float(),
        torch.from_numpy(rng.random((2, max(COUNTS), 3, 2))).float(),
        torch.tensor(COUNTS, dtype=torch.int32),
        torch.tensor(SECOND_COUNTS, dtype=torch.int32),
        torch.from_numpy(rng.integers(0, 255, (2, 8, 8, 3))).to(torch.uint8),
        torch.tensor([[0.6, -0.64, 0.48, 0.6], [-0.6, -0.64, 0.48, 0.8]]),
        torch.eye(3, 4) + 0.1 * torch.from_numpy(rng.normal(size=(2, 3, 4))).float(),
        torch.from_numpy(rng.uniform(-0.5, 0.5, triangles.shape)).float(),
        patterns,
    )


@pytest.fixture(scope="module")
def cameras() -> torch.Tensor:
    return torch.from_numpy(camera_to_world(np.array([[60.0], [20.0]]), np.array([[0.0], [40.0]])))


def plain_image(meshes: MeshBatch, number: int, camera: np.ndarray) -> np.ndarray:
    """(SIZE, SIZE, 4) in 0..1."""
    triangles = meshes.triangles[number, : COUNTS[number]].numpy().astype(float)
    origin, directions = rays(camera, 2 * SIZE)
    depth, nearest, weights = intersect(triangles, origin, directions)
    uv = (meshes.uvs[number].numpy()[nearest] * weights[..., None]).sum(-2)
    normal = (meshes.normals[number].numpy()[nearest] * weights[..., None]).sum(-2)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    front = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])[nearest]
    normal *= np.where((front * directions).sum(-1, keepdims=True) < 0, 1, -1)
    texels = np.clip((np.stack([1 - uv[..., 1], uv[..., 0]], -1) * 8).astype(int), 0, 7)
    color = meshes.textures[number].numpy()[texels[..., 0], texels[..., 1]] / 255
    own = (meshes.own_triangles[number].numpy()[nearest] * weights[..., None]).sum(-2)
    is_second = (nearest >= COUNTS[number] - SECOND_COUNTS[number])[..., None]
    first, second = (patterned(row, own, color) for row in meshes.patterns[number].numpy())
    color = np.where(is_second, second, first)
    transform = meshes.color_transforms[number].numpy()
    color = np.maximum(color @ transform[:, :3].T + transform[:, 3], 0)
    *toward, ambient = meshes.lights[number].numpy()
    lit = 0.75 * np.maximum(normal @ np.array(toward), 0) + 0.25 * (0.5 + 0.5 * normal[..., 2])
    hit = np.isfinite(depth)[..., None]
    color = np.where(hit, np.minimum(color * (ambient + (1 - ambient) * lit)[..., None], 1), 1)
    return np.concatenate([color, hit], -1).reshape(SIZE, 2, SIZE, 2, 4).mean((1, 3))


def test_images_equal_the_plain_renderers(meshes, cameras):
    images = render_meshes(meshes, cameras, SIZE).numpy() / 255
    for number in range(2):
        expected = plain_image(meshes, number, cameras[number, 0].numpy())
        assert 0.02 < expected[..., 3].mean() < 0.98
        np.testing.assert_allclose(images[number, 0], expected, atol=0.51 / 255)


def test_depths_equal_the_plain_renderers(meshes, cameras):
    depths = render_depths(meshes.triangles, meshes.counts, cameras, 16).numpy()
    for number in range(2):
        triangles = meshes.triangles[number, : COUNTS[number]].numpy().astype(float)
        expected, _, _ = intersect(triangles, *rays(cameras[number, 0].numpy(), 16))
        assert np.isfinite(expected).any() and np.isinf(expected).any()
        np.testing.assert_allclose(depths[number, 0], expected, atol=1e-5)

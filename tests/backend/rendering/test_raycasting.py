"""Ray casting and rendering of objects with a known result."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import trimesh

from backend import camera
from backend.data_types import Mesh, TexturedMesh
from backend.rendering import raycasting
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    ball = trimesh.creation.icosphere(4, 0.5)
    return Mesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))


def square(texture: np.ndarray) -> TexturedMesh:
    """A unit square in the plane y = 0 that faces the input camera, its texture upright."""
    corners = np.array([[-0.5, 0, -0.5], [0.5, 0, -0.5], [0.5, 0, 0.5], [-0.5, 0, 0.5]], np.float32)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return TexturedMesh(Mesh(corners, faces), uvs[faces], texture, np.full(texture.shape[:2], 255, np.uint8))


def test_cast_finds_the_analytic_hit(sphere):
    origins = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    origins *= 1.2 / np.linalg.norm(origins, axis=1, keepdims=True)
    hit, distance, face, weights = raycasting.RayCaster(sphere).cast(origins, -origins / 1.2)
    assert hit.all()
    assert np.allclose(distance, 0.7, atol=2e-3)
    corners = sphere.vertices[sphere.faces[face]]
    assert np.allclose(np.einsum("pc,pcd->pd", weights, corners), origins * (1 - distance[:, None] / 1.2), atol=1e-5)
    assert np.allclose(weights.sum(1), 1, atol=1e-6)


def test_cast_reports_a_miss(sphere):
    hit, distance, face, _ = raycasting.RayCaster(sphere).cast(np.array([[0, -1.2, 0]]), np.array([[0, -1, 0]]))
    assert not hit[0]
    assert np.isinf(distance[0])
    assert face[0] == -1


LIMITED = """
import resource, sys
import numpy as np
from backend.data_types import Mesh
from backend.rendering.raycasting import RayCaster

pages = int(open("/proc/self/statm").read().split()[0])
mesh = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
for megabytes in range(20, 400, 20):
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), -1))
    try:
        RayCaster(mesh).cast(np.zeros((1, 3)), np.ones((1, 3)))
        break
    except MemoryError:
        print(megabytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_memory_that_runs_out_is_an_error_and_no_crash():
    """Embree, asked for its first scene with ever more memory, until there is enough."""
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "20\n40\n60\n" in done.stdout, done.stderr


def test_cast_accepts_no_rays(sphere):
    assert all(len(array) == 0 for array in raycasting.RayCaster(sphere).cast(np.zeros((0, 3)), np.zeros((0, 3))))


def test_render_of_a_sphere_has_the_right_silhouette(sphere):
    textured = TexturedMesh(
        sphere, np.zeros((len(sphere.faces), 3, 2), np.float32), np.full((2, 2, 3), 128, np.uint8), np.zeros((2, 2))
    )
    image = raycasting.render(textured, camera.camera_to_world(60, 40)[None], 128, samples=2)[0]
    radius = 128 * camera.FOCAL * np.tan(np.arcsin(0.5 / camera.RADIUS))
    assert image[..., 3].sum() == pytest.approx(np.pi * radius**2, rel=0.01)
    # straight alpha: half-covered pixels on the rim have the full color
    assert np.allclose(image[image[..., 3] > 0, :3], 128 / 255, atol=1e-3)


def test_render_is_upright_and_not_mirrored():
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32], texture[:32, 32:] = (255, 0, 0), (0, 255, 0)
    texture[32:, :32], texture[32:, 32:] = (0, 0, 255), (255, 255, 255)
    image = raycasting.render(square(texture), camera.camera_to_world(90, 0)[None], 64)[0]
    assert image[20, 20].tolist() == [1, 0, 0, 1]
    assert image[20, 43].tolist() == [0, 1, 0, 1]
    assert image[43, 20].tolist() == [0, 0, 1, 1]
    assert image[43, 43].tolist() == [1, 1, 1, 1]


def test_shading_darkens_within_the_same_silhouette():
    textured = square(np.full((4, 4, 3), 200, np.uint8))
    pose = camera.camera_to_world(90, 0)
    plain, shaded = (raycasting.render(textured, pose[None], 32, shaded)[0] for shaded in (False, True))
    assert np.array_equal(plain[..., 3], shaded[..., 3])
    assert 0.5 * plain[16, 16, 0] < shaded[16, 16, 0] < plain[16, 16, 0]

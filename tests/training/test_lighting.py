"""Inputs in the light of several lamps, against a plain renderer that casts a shadow ray for every pixel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

from backend.camera import RADIUS, camera_to_world
from procedural import triton_renderer
from procedural.families.materials import solid
from procedural.families.primitives import box, to_rows
from procedural.schema import IDENTITY_TRANSFORM
from tests.helpers.ray_casting import intersect, rays
from tests.helpers.training_runs import cube, short_run, short_surface_run
from training import mesh_distance, supervision
from training.cameras import camera_matrices
from training.input_augmentation import change_lens
from training.joint_scenes import JointScenes
from training.lighting import Lighting, light_pictures, relight, sample_lighting
from training.mesh_rasterizer import MeshBatch, render_depths, render_meshes
from training.object_library import ObjectLibrary
from training.patterns import LENGTH
from training.shadows import creases, foot_shade, world_points
from training.surface_scenes import SurfaceScenes

SIZE = 32
CANONICAL = torch.tensor([[0.4, -0.6, 0.69282, 0.7]])
SIDES = (0.5, 0.4, 0.3)


def batch(triangles: np.ndarray, color: tuple[int, int, int]) -> MeshBatch:
    """One mesh of a single color with flat triangles (F, 3, 3)."""
    count = len(triangles)
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return MeshBatch(
        torch.tensor(triangles[None], dtype=torch.float32),
        torch.tensor(normals[None, :, None], dtype=torch.float32).expand(-1, -1, 3, -1),
        torch.zeros(1, count, 3, 2),
        torch.tensor([count], dtype=torch.int32),
        torch.zeros(1, dtype=torch.int32),
        torch.tensor(color, dtype=torch.uint8).expand(1, 4, 4, 3),
        CANONICAL,
        torch.eye(3, 4)[None],
        torch.tensor(triangles[None], dtype=torch.float32),
        torch.zeros(1, 2, LENGTH),
    )


@pytest.fixture
def table() -> MeshBatch:
    """A square, another one above its left half, and a third that stands on the right."""
    square = np.array([[[-1, -1, 0], [1, -1, 0], [1, 1, 0]], [[-1, -1, 0], [1, 1, 0], [-1, 1, 0]]], float)
    upright = square[..., [2, 0, 1]]
    return batch(
        np.concatenate([0.5 * square, 0.2 * square + [-0.2, 0, 0.25], 0.15 * upright + [0.35, 0.1, 0.15]]),
        (200, 150, 100),
    )


@pytest.fixture
def camera() -> torch.Tensor:
    return torch.from_numpy(camera_to_world(np.array([50.0]), np.array([10.0])))


def two_lamps(**changes: torch.Tensor) -> Lighting:
    lighting = Lighting(
        lamps=torch.from_numpy(camera_matrices(np.array([[60.0, 35.0]]), np.array([[-30.0, 100.0]]))),
        colors=torch.tensor([[[0.8, 0.7, 0.6], [0.2, 0.25, 0.4]]]),
        softness=torch.full((1, 2), 1e-4),
        ambient=torch.tensor([[0.3, 0.32, 0.35]]),
        crease_shade=torch.zeros(1),
        foot_shade=torch.zeros(1),
    )
    return dataclasses.replace(lighting, **changes)


def lit(meshes: MeshBatch, lighting: Lighting, camera: torch.Tensor) -> np.ndarray:
    """(SIZE, SIZE, 4) in 0..1."""

    def colors(lights: torch.Tensor) -> torch.Tensor:
        return pictures(lights)[..., :3] - 1 + pictures(lights)[..., 3:]

    def pictures(lights: torch.Tensor) -> torch.Tensor:
        return render_meshes(dataclasses.replace(meshes, lights=lights), camera[:, None], SIZE)[:, 0] / 255

    def depths(cameras: torch.Tensor) -> torch.Tensor:
        return render_depths(meshes.triangles, meshes.counts, cameras[:, None], SIZE)[:, 0]

    before = (255 * pictures(meshes.lights)).round().byte()
    return light_pictures(before, depths(camera), camera, lighting, colors, depths)[0].numpy() / 255


def plain_image(meshes: MeshBatch, lighting: Lighting, camera: np.ndarray) -> np.ndarray:
    """Colors (SIZE, SIZE, 3) at the pixels' centers, in any unit; NaN where nothing is."""
    triangles = meshes.triangles[0].numpy().astype(float)
    origin, directions = rays(camera, SIZE)
    depth, nearest, _ = intersect(triangles, origin, directions)
    points = origin + np.where(np.isfinite(depth), depth, 0)[..., None] * directions
    normal = meshes.normals[0, :, 0].numpy()[nearest]
    normal = normal * np.where((normal * directions).sum(-1, keepdims=True) < 0, 1, -1)
    shade = np.ones((SIZE, SIZE, 3)) * lighting.ambient[0].numpy()
    for lamp, color in zip(lighting.lamps[0].numpy(), lighting.colors[0].numpy(), strict=True):
        free = np.ones((SIZE, SIZE, 1))
        for row, column in np.ndindex(SIZE, SIZE):
            toward = lamp[:3, 3] - points[row, column]
            ahead, _, _ = intersect(triangles, points[row, column] + 0.02 * toward, toward[None])
            free[row, column] = ahead[0] > 1
        lambert = np.maximum(normal @ lamp[:3, 2], 0)[..., None]
        shade += free * color * (0.75 * lambert + 0.25 * (0.5 + 0.5 * normal[..., 2:]))
    albedo = meshes.textures[0, 0, 0].numpy() / 255
    return np.where(np.isfinite(depth)[..., None], albedo * shade, np.nan)


def test_lamps_and_their_shadows_equal_the_plain_renderers(table, camera):
    picture = lit(table, two_lamps(), camera)
    expected = plain_image(table, two_lamps(), camera[0].numpy())
    covered = picture[..., 3] == 1
    found = picture[covered][:, :3]
    expected = expected[covered]
    expected *= np.nanmedian(found / expected, 0)  # exposure and white balance
    is_equal = np.abs(found - expected).max(-1) < 0.02
    assert len(found) > 200 and is_equal.mean() > 0.93  # the rest are at the shadows' edges
    without = plain_image(table, two_lamps(colors=torch.zeros(1, 2, 3)), camera[0].numpy())[covered]
    assert (np.abs(found - without * np.nanmedian(found / without, 0)).max(-1) < 0.02).mean() < 0.8


def test_wide_lamps_have_soft_shadows(table, camera):
    def mean_step(softness: float) -> float:
        picture = lit(table, two_lamps(softness=torch.full((1, 2), softness)), camera)
        inside = slice(SIZE // 2, SIZE // 2 + 6), slice(SIZE // 3, SIZE // 2)  # on the lowest square
        return float(np.abs(np.diff(picture[..., 0], axis=1))[inside].max())

    assert mean_step(0.06) < 0.7 * mean_step(1e-4)


def test_only_creases_are_creases():
    x = torch.linspace(-0.5, 0.5, 64).expand(64, 64)
    groove, ridge, plane = 1.2 - x.abs(), 1.2 + x.abs(), 1.2 + 0.7 * x
    step = torch.where(x < 0, 1.0, 1.4)
    object_alone = torch.where(x.abs() + x.T.abs() < 0.4, plane, torch.inf)
    depth = creases(torch.stack([groove, ridge, plane, step, object_alone]))[:, 8:-8, 8:-8]
    assert depth[0, :, 23:25].min() > 0.5 and depth[0, :, :10].max() < 1e-4
    assert depth[1:].max() < 1e-4


def test_a_foot_is_dark_and_a_head_is_not(table, camera):
    seen = render_depths(table.triangles, table.counts, camera[:, None], SIZE)[:, 0]
    points = world_points(torch.where(seen.isfinite(), seen, 1.0), camera)
    shade = foot_shade(points, seen.isfinite())[0][seen[0].isfinite()]
    height = points[0][seen[0].isfinite()][:, 2]
    assert shade[height < 0.01].min() > 0.9 and shade[height > 0.24].max() < 0.1


def test_points_of_a_longer_lens_are_where_they_were(table, camera):
    moved, _ = change_lens(camera, 1.0, np.random.default_rng(8))
    seen = render_depths(table.triangles, table.counts, moved[:, None], SIZE)[:, 0]
    points = world_points(seen, moved)[seen.isfinite()]
    on_squares = torch.stack([points[:, 2].abs(), (points[:, 2] - 0.25).abs(), (points[:, 0] - 0.35).abs()])
    assert len(points) > 200 and on_squares.amin(0).max() < 1e-4


def test_light_is_random_but_has_its_key_where_it_was_and_leaves_mean_and_mask(table, camera):
    before = render_meshes(table, camera[:, None], 16)[:, 0]
    after = [relight(before, table, camera, 1.0, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(after[0], after[1]) and not torch.equal(after[0], after[2])
    assert torch.equal(relight(before, table, camera, 0.0, np.random.default_rng(1)), before)
    for picture in (after[0], after[2]):
        assert torch.equal(picture[..., 3], before[..., 3])
        assert (picture[..., :3][before[..., 3] == 0] == 255).all()
        change = picture.float().mean((0, 1, 2)) - before.float().mean((0, 1, 2))
        assert change.abs().max() < 12
    lighting = sample_lighting(CANONICAL.expand(50, -1), np.random.default_rng(0))
    assert 2 <= lighting.colors.shape[1] <= 4
    key = lighting.lamps[:, 0, :3, 3] / RADIUS @ CANONICAL[0, :3]
    assert key.mean() > 0.95 and (lighting.lamps[:, 1, :3, 3] / RADIUS @ CANONICAL[0, :3]).mean() < 0.6
    assert (lighting.colors[:, 0].mean(-1) > lighting.colors[:, 1].mean(-1)).all()


def test_procedural_scenes_are_lit_as_meshes_are(camera):
    color = (0.8, 0.6, 0.4)
    mesh = trimesh.creation.box(SIDES)
    meshes = batch(np.array(mesh.triangles), tuple(round(255 * value) for value in color))
    size = 16
    rows = to_rows([box((0, 0, 0), tuple(side / 2 for side in SIDES), solid(color), rounding=0.0)])
    scenes = triton_renderer.from_numpy([(rows, np.float32(IDENTITY_TRANSFORM), CANONICAL[0].numpy())], "cpu")
    pictures = scenes.render(camera, torch.zeros(1, dtype=torch.long), size)
    rendered = render_meshes(meshes, camera[:, None], size)[:, 0]
    one = relight(rendered, meshes, camera, 1.0, np.random.default_rng(0))
    other = relight(pictures, scenes, camera, 1.0, np.random.default_rng(0))
    covered = (one[..., 3] == 255) & (other[..., 3] == 255)
    one, other, before = (picture[covered].float() for picture in (one, other, pictures))
    assert (one - other).abs().mean() < 2 < (other - before).abs().mean()


def test_views_to_generate_keep_the_light_of_the_scene():
    library, cpu = ObjectLibrary([cube(1)], np.ones(1), "cpu"), torch.device("cpu")
    config = dataclasses.replace(short_run(), tone_share=0.0, joined_share=0.0, lens_share=0.0)
    plain, lit = (
        JointScenes(dataclasses.replace(config, lit_share=share), library, 16, 5, 1, cpu).render_chunk()
        for share in (0.0, 1.0)
    )
    assert torch.equal(plain.given, lit.given)
    assert torch.equal(plain.pictures[:, 1:-1], lit.pictures[:, 1:-1])
    assert torch.equal(plain.pictures[:, 0, ..., 3], lit.pictures[:, 0, ..., 3])
    views = plain.pictures.float()
    misplaced = (views[torch.arange(len(views)), plain.given] - views[:, -1]).abs().mean()
    assert 0 < misplaced < (views[:, 0] - views[:, -1]).abs().mean()
    for view in (0, -1):
        assert not torch.equal(plain.pictures[:, view], lit.pictures[:, view])


def test_surface_training_keeps_views_and_colors_in_the_light_of_the_scene(monkeypatch):
    monkeypatch.setattr(mesh_distance, "BLOCK", 1024)
    monkeypatch.setattr(supervision, "NEAR_POINTS", 48)
    monkeypatch.setattr(supervision, "FREE_POINTS", 16)
    library, chunks = ObjectLibrary([cube(1)], np.ones(1), "cpu"), []
    config = dataclasses.replace(short_surface_run(), degraded_share=0.0, joined_share=0.0)
    for share in (0.0, 1.0):
        torch.manual_seed(0)
        lit_config = dataclasses.replace(config, lit_share=share)
        scenes = SurfaceScenes(lit_config, library, None, 16, 0.6, 5, 1, torch.device("cpu"))
        chunks.append(scenes.next_chunk())
    plain, lit = (chunk["images"] for chunk in chunks)
    assert torch.equal(plain[:, 1:], lit[:, 1:]) and torch.equal(plain[..., 3], lit[..., 3])
    assert not torch.equal(plain[:, 0], lit[:, 0])
    assert torch.equal(chunks[0]["color"], chunks[1]["color"])

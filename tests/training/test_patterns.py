"""Patterns laid over objects of packs: against plain formulas, in pictures, and which objects get one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from backend.camera import camera_to_world, project
from objects.pack import TexturedObject
from tests.helpers.patterns import pattern_of_kind, patterned
from tests.helpers.training_runs import cube
from training import mesh_rasterizer
from training.mesh_rasterizer import MeshBatch, render_meshes
from training.object_library import ObjectLibrary
from training.pattern_shading import pattern_colors
from training.patterns import LENGTH, SURFACE_COLORS, Column, Kind, flatness, sample_patterns, surface_colors

KINDS = [kind for kind in Kind if kind != Kind.NONE]
SIZE = 32


def textured(number: int) -> TexturedObject:
    """A cube whose texture has hundreds of colors."""
    rng = np.random.default_rng(number)
    texture = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    return dataclasses.replace(cube(number), texture=texture)


@pytest.mark.parametrize("kind", KINDS)
def test_colors_equal_the_plain_formulas(kind):
    row, rng = pattern_of_kind(kind), np.random.default_rng(1)
    points, colors = rng.uniform(-1, 1, (2, 300, 3)), rng.random((2, 300, 3))
    patterns = torch.zeros(2, 2, LENGTH)
    patterns[1, 0] = torch.from_numpy(row)
    is_second = torch.arange(300).expand(2, -1) >= 200
    found = pattern_colors(patterns, is_second, *(torch.from_numpy(v).float() for v in (points, colors))).numpy()
    np.testing.assert_allclose(found[0], colors[0], atol=1e-6)
    np.testing.assert_allclose(found[1, 200:], colors[1, 200:], atol=1e-6)
    expected = patterned(row, points[1, :200], colors[1, :200])
    assert (np.abs(expected - colors[1, :200]).max(-1) > 0.02).any()
    same = np.abs(found[1, :200] - expected).max(-1) < 1e-3
    assert same.mean() > 0.99  # at an edge of a stripe, rounding decides


def test_only_the_target_is_covered():
    row = pattern_of_kind(Kind.WAVES)
    row[Column.TARGET : Column.REACH], row[Column.REACH] = (0.2, 0.4, 0.6), 0.08
    colors = torch.tensor([[[0.2, 0.4, 0.6], [0.25, 0.35, 0.6], [0.2, 0.4, 0.7]]])
    patterns = torch.from_numpy(np.stack([row, row]))[None]
    found = pattern_colors(patterns, torch.tensor([[False, True, True]]), torch.full((1, 3, 3), 0.3), colors)
    assert (found != colors).any(-1).tolist() == [[True, True, False]]


@pytest.fixture
def square() -> MeshBatch:
    """One of a single color, twice as large in its own space, lit evenly; the pattern is smooth."""
    corners = np.array([[[-1, -1, 0], [1, -1, 0], [1, 1, 0]], [[-1, -1, 0], [1, 1, 0], [-1, 1, 0]]], np.float32)
    row = pattern_of_kind(Kind.WAVES)
    row[Column.FRAME : Column.ROUGHNESS] = np.array([[0.5, 0.2, 0, 0.1], [0, 0.4, 0, 0.3], [0, 0, 0.4, 0]]).ravel()
    return MeshBatch(
        torch.from_numpy(0.45 * corners)[None],
        torch.tensor([0.0, 0, 1]).expand(1, 2, 3, -1),
        torch.zeros(1, 2, 3, 2),
        torch.tensor([2], dtype=torch.int32),
        torch.zeros(1, dtype=torch.int32),
        torch.tensor((150, 100, 200), dtype=torch.uint8).expand(1, 4, 4, 3),
        torch.tensor([[0.0, 0, 1, 1]]),
        torch.eye(3, 4)[None],
        torch.from_numpy(corners)[None],
        torch.from_numpy(np.stack([row, np.zeros_like(row)]))[None],
    )


def test_a_point_has_the_same_color_in_all_views(square, monkeypatch):
    monkeypatch.setattr(mesh_rasterizer, "TILE", SIZE)  # the interpreter takes as long for more pixels at once
    cameras = camera_to_world(np.array([20.0, 55.0]), np.array([0.0, 130.0]))
    pictures = render_meshes(square, torch.from_numpy(cameras)[None], SIZE)[0, ..., :3].numpy() / 255
    own = np.random.default_rng(0).uniform(-0.85, 0.85, (200, 3)) * [1, 1, 0]
    expected = patterned(square.patterns[0, 0].numpy(), own, np.array([150, 100, 200]) / 255)
    assert np.ptp(expected, axis=0).max() > 0.2
    for picture, camera in zip(pictures, cameras, strict=True):
        pixels, _ = project(0.45 * own, camera, SIZE)
        column, row = pixels.astype(int).T
        assert np.abs(picture[row, column] - expected).mean() < 0.01
        assert np.abs(picture[row, column] - expected).max() < 0.08  # a pixel is not a point


def test_one_pattern_per_object_of_a_pair(square, monkeypatch):
    monkeypatch.setattr(mesh_rasterizer, "TILE", SIZE)
    pair = dataclasses.replace(square, second_counts=torch.tensor([1], dtype=torch.int32))
    camera = torch.from_numpy(camera_to_world(np.array([20.0]), np.array([0.0])))[None]
    picture = render_meshes(pair, camera, SIZE)[0, 0]
    plain = render_meshes(dataclasses.replace(pair, patterns=0 * pair.patterns), camera, SIZE)[0, 0]
    other = render_meshes(dataclasses.replace(pair, patterns=pair.patterns.flip(1)), camera, SIZE)[0, 0]
    first, second = ((image != plain).any(-1) for image in (picture, other))
    assert first.any() and second.any() and not torch.equal(first, second)
    assert (first & second).float().mean() < 0.1  # the pixels on the edge between the two triangles
    assert torch.equal(picture[..., 3], plain[..., 3])


def test_objects_are_the_same_with_and_without_a_pattern():
    library = ObjectLibrary([cube(1), cube(2)], np.ones(2), "cpu")
    plain, elevations = library.sample(20, np.random.default_rng(0), joined_share=0.5)
    meshes, same = library.sample(20, np.random.default_rng(0), joined_share=0.5, pattern_share=1.0)
    assert (plain.patterns == 0).all() and (meshes.patterns[..., Column.KIND] > 0).all()
    np.testing.assert_array_equal(elevations, same)
    for field in dataclasses.fields(MeshBatch):
        if field.name != "patterns":
            assert torch.equal(getattr(plain, field.name), getattr(meshes, field.name)), field.name


def test_patterns_stay_where_they_are_when_objects_are_turned_and_bent():
    library = ObjectLibrary([cube(1)], np.ones(1), "cpu")
    meshes, _ = library.sample(20, np.random.default_rng(0))
    assert not torch.equal(meshes.triangles[0], meshes.triangles[1])
    assert torch.equal(meshes.own_triangles, meshes.own_triangles[:1].expand(20, -1, -1, -1))
    assert meshes.own_triangles.abs().amax((0, 1, 2)).tolist() == pytest.approx([1, 0.6, 0.3], abs=1e-3)


def test_flat_objects_get_patterns_and_textured_ones_none():
    library = ObjectLibrary([cube(1), textured(2)], np.ones(2), "cpu")
    rng = np.random.default_rng(0)
    for textures, share in ((0, 0.4), (1, 0.0)):
        library.probabilities = np.eye(2)[textures]
        meshes, _ = library.sample(500, rng, pattern_share=0.4)
        assert (meshes.patterns[:, 0, Column.KIND] > 0).float().mean().item() == pytest.approx(share, abs=0.07)


def test_flatness_falls_with_the_number_of_colors():
    rng = np.random.default_rng(0)
    levels = [
        flatness(np.linspace(0, 1, number)[np.arange(120) % number, None] * np.ones(3)) for number in range(1, 13)
    ]
    assert levels[0] == 1 and levels[1] == pytest.approx(1 - np.log10(2)) and levels[9:] == pytest.approx([0] * 3)
    assert levels == sorted(levels, reverse=True)
    flat, rich = cube(1), textured(2)
    colors = surface_colors(flat, flat.texture, rng)
    np.testing.assert_allclose(colors, np.tile(flat.texture[0, 0] / 255, (SURFACE_COLORS, 1)), atol=1e-6)
    assert flatness(colors) == 1 and flatness(surface_colors(rich, rich.texture, rng)) == 0


def test_patterns_follow_from_the_generator_and_keep_colors_in_range():
    surface = np.random.default_rng(0).random((300, SURFACE_COLORS, 3)).astype(np.float32)
    rows, again = (sample_patterns(surface, np.full(300, 0.9), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(rows, again)
    assert set(rows[:, Column.KIND]) == set(Kind)
    points, colors = np.random.default_rng(1).uniform(-1, 1, (50, 3)), surface[0, :50]
    for row in rows:
        found = patterned(row, points, colors)
        assert found.min() > -1e-6 and found.max() < 1 + 1e-6

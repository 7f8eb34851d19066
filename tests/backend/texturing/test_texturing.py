"""UVs without overlap, and texels colored from the right source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from backend import camera, meshing, texturing
from backend.data_types import Cutout, Mesh, Views
from backend.rendering import raycasting
from backend.texturing import rasterization
from tests.helpers.cases import others_in_full
from tests.helpers.fields import FIELDS, AnalyticField

FRONT = 80
"""Polar angle of the input camera."""


def ball(radius: float = 0.4) -> Mesh:
    sphere = trimesh.creation.icosphere(5, radius)
    return Mesh(sphere.vertices.astype(np.float32), sphere.faces.astype(np.int32))


def render_colors(mesh: Mesh, color, pose: np.ndarray, size: int) -> np.ndarray:
    """The mesh with colors color(points), seen by one camera: (size, size, 4)."""
    origins, directions = (array.reshape(-1, 3) for array in camera.rays(pose, size))
    hit, distance, _, _ = raycasting.RayCaster(mesh).cast(origins, directions)
    image = np.zeros((size * size, 4), np.float32)
    image[hit, :3], image[hit, 3] = color(origins[hit] + directions[hit] * distance[hit, None]), 1
    return image.reshape(size, size, 4)


def render_views(mesh: Mesh, color, angles) -> Views:
    poses = camera.camera_to_world(*np.array(angles, float).T)
    images = np.stack([render_colors(mesh, color, pose, 128) for pose in poses])
    alpha = images[..., 3:]
    names = ("input", *(str(k) for k in range(len(poses) - 1)))
    return Views(images[..., :3] * alpha + 1 - alpha, images[..., 3], poses, names)


def constant(*rgb: float):
    return lambda points: np.tile(np.float32(rgb), (len(points), 1))


def ramp(points: np.ndarray) -> np.ndarray:
    return np.clip(points + 0.5, 0, 1).astype(np.float32)


class ColoredField(AnalyticField):
    def __init__(self, color):
        super().__init__(lambda points: np.ones(len(points)))
        object.__setattr__(self, "color", color)


def texels(textured):
    """Every covered texel's position on the mesh, its color 0..1 and its confidence."""
    size = len(textured.texture)
    triangles = textured.uvs.astype(np.float64) * size
    face, column, row = rasterization.covered_samples(triangles)
    weights = rasterization.barycentric(triangles[face], np.stack([column, row], -1) + 0.5)
    position = np.einsum("pc,pcd->pd", weights, textured.mesh.vertices[textured.mesh.faces[face]])
    return (
        position,
        textured.texture[size - 1 - row, column] / 255,
        textured.confidence[size - 1 - row, column],
        (size - 1 - row, column),
    )


@pytest.mark.parametrize("name", others_in_full(sorted(FIELDS), "gyroid", "mug", "plate", "rod"))
@pytest.mark.parametrize("faces", [500, 20000])
def test_uvs_never_overlap(name, faces):
    mesh = meshing.extract(FIELDS[name], 64, faces)
    uvs = texturing.unwrap(mesh, 1024).astype(np.float64)
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    assert (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).min() >= 0, "mirrored"
    for size, most in ((1024, 0), (3000, 2e-5)):
        _, column, row = rasterization.covered_samples(uvs * size)
        assert (column >= 0).all() and (row >= 0).all() and (column < size).all() and (row < size).all()
        layers = np.bincount(row * size + column, minlength=size * size)
        assert (layers > 1).sum() <= most * (layers > 0).sum()


def test_texel_density_is_even():
    mesh = ball()
    uvs = texturing.unwrap(mesh, 1024).astype(np.float64)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    density = np.sqrt((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / area)
    assert np.quantile(density, 0.99) / np.quantile(density, 0.01) < 1.5
    assert (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2 > 0.45, "half of the square is used"


def test_charts_have_gutters():
    mesh = meshing.extract(FIELDS["mug"], 64, 5000)
    size = 1024
    uvs = texturing.unwrap(mesh, size)
    edge_of = {}
    parent = np.arange(len(mesh.faces))

    def root(face):
        while parent[face] != face:
            face = parent[face]
        return face

    for face, (corners, corner_uvs) in enumerate(zip(mesh.faces.tolist(), uvs.tolist(), strict=True)):
        for k in range(3):
            ends = frozenset(((corners[k], *corner_uvs[k]), (corners[k - 2], *corner_uvs[k - 2])))
            if ends in edge_of:
                parent[root(face)] = root(edge_of[ends])
            edge_of[ends] = face
    chart = np.array([root(face) for face in range(len(mesh.faces))])
    face, column, row = rasterization.covered_samples(uvs.astype(np.float64) * size)
    owner = np.full((size + 8, size + 8), -1)
    owner[row + 4, column + 4] = chart[face]
    assert len(np.unique(chart)) > 5
    for down in range(-4, 5):
        for right in range(-4, 5):
            other = np.roll(owner, (down, right), (0, 1))
            assert not ((owner >= 0) & (other >= 0) & (owner != other)).any(), (down, right)


def test_rasterizer_covers_the_samples_inside():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 40, (30, 3, 2))
    face, column, row = rasterization.covered_samples(corners)
    covered = set(zip(face.tolist(), column.tolist(), row.tolist(), strict=True))
    x, y = np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5)
    for k, (a, b, c) in enumerate(corners):
        sides = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        inside = (np.stack(sides) > 0).all(0) | (np.stack(sides) < 0).all(0)
        expected = {(k, int(i), int(j)) for j, i in zip(*np.nonzero(inside), strict=True)}
        assert expected == {sample for sample in covered if sample[0] == k}


def test_baking_reproduces_colors():
    mesh = ball()
    views = render_views(mesh, ramp, [(FRONT, 0), *((polar, az) for polar in (60, 110) for az in range(0, 360, 60))])
    cutout = Cutout(render_colors(mesh, ramp, views.camera_to_world[0], 512), "alpha", (0, 0, 512))
    textured = texturing.bake(mesh, ColoredField(ramp), views, cutout, 512)
    position, color, source, _ = texels(textured)
    assert set(np.unique(source)) == {85, 170, 255}
    assert set(np.unique(textured.confidence)) == {0, 85, 170, 255}
    error = np.abs(color - ramp(position)).max(1)
    for kind, most in ((255, 0.01), (170, 0.03), (85, 0.03)):
        assert np.quantile(error[source == kind], 0.99) < most, kind


def test_baking_prefers_the_input_image_then_views_then_the_field():
    mesh = ball()
    views = render_views(mesh, constant(0, 1, 0), [(FRONT, 0), (FRONT, 90), (FRONT, 0)])
    cutout = Cutout(render_colors(mesh, constant(1, 0, 0), views.camera_to_world[0], 512), "alpha", (0, 0, 512))
    textured = texturing.bake(mesh, ColoredField(constant(0, 0, 1)), views, cutout, 512)
    position, color, source, _ = texels(textured)
    cameras = views.camera_to_world[:, :3, 3]
    offsets = cameras[:, None] - position
    in_image, in_view, _ = (position / 0.4 * offsets / np.linalg.norm(offsets, axis=-1, keepdims=True)).sum(
        -1
    )  # cosines
    assert np.allclose(color[in_image > 0.5], [1, 0, 0], atol=0.01)
    assert np.allclose(color[(in_image < 0.1) & (in_view > 0.5)], [0, 1, 0], atol=0.01)
    assert np.allclose(color[(in_image < 0) & (in_view < 0)], [0, 0, 1], atol=0.01)
    assert (source[in_image > 0.5] == 255).all()
    assert (source[(in_image < 0.1) & (in_view > 0.5)] == 170).all()
    assert (source[(in_image < 0) & (in_view < 0)] == 85).all()


@pytest.mark.parametrize("shift", [(0.1, 0.05, -0.1), (0.3, 0.0, 0.0)], ids=["another light", "another paint"])
def test_generated_views_are_brought_to_the_light_of_the_input_image(shift):
    mesh, true = ball(), constant(0.5, 0.4, 0.3)
    angles = [(FRONT, azimuth) for azimuth in (0, 45, 90, 180, 270, 315)]
    views = render_views(mesh, lambda points: true(points) + np.float32(shift), angles)
    names = list(views.names)
    names[3] = "back"  # a picture that somebody gave
    cutout = Cutout(render_colors(mesh, true, views.camera_to_world[0], 512), "alpha", (0, 0, 512))
    textured = texturing.bake(mesh, ColoredField(true), replace(views, names=tuple(names)), cutout, 512)
    position, color, *_ = texels(textured)
    towards = views.camera_to_world[:, :3, 2] @ (position / 0.4).T
    assert np.allclose(color[towards[0] > 0.8], [0.5, 0.4, 0.3], atol=0.02)
    generated = (towards[2] > 0.8) & (towards[0] < 0.1)
    expected = np.array([0.5, 0.4, 0.3]) + (0 if max(shift) < 0.2 else np.array(shift))
    assert generated.sum() > 1000 and np.allclose(color[generated], expected, atol=0.02)
    given = towards[3] > 0.95
    assert given.sum() > 1000 and np.allclose(color[given], np.array([0.5, 0.4, 0.3]) + shift, atol=0.02)


def test_baking_without_views_uses_the_field_and_reports_every_chunk(monkeypatch):
    monkeypatch.setattr("backend.texturing.baking.CHUNK_SIZE", 10_000)
    monkeypatch.setattr("backend.texturing.baking.FIELD_CHUNK_SIZE", 10_000)
    fractions = []
    textured = texturing.bake(ball(), ColoredField(ramp), None, None, 256, fractions.append)
    position, color, confidence, _ = texels(textured)
    assert np.abs(color - ramp(position)).max() < 0.01
    assert (confidence == 85).all()
    expected = [done / len(position) for done in (*range(10_000, len(position), 10_000), len(position))]
    assert [fraction for fraction in fractions if fraction] == expected


@pytest.mark.parametrize("splits", [0, 5], ids=["large faces", "small faces"])
def test_what_a_rod_hides_does_not_get_its_color(splits):
    wall, rod = trimesh.creation.box((0.6, 0.05, 0.6)), trimesh.creation.box((0.03, 0.03, 0.5))
    for _ in range(splits):
        wall = wall.subdivide()
    rod.apply_translation((0.07, -0.15, 0))
    both = trimesh.util.concatenate([wall, rod])
    mesh = Mesh(both.vertices.astype(np.float32), both.faces.astype(np.int32))

    def red_rod(points: np.ndarray) -> np.ndarray:
        return np.where(points[:, 1:2] < -0.1, [1, 0, 0], [0, 1, 0]).astype(np.float32)

    views = render_views(mesh, red_rod, [(90, 180), (90, 0)])
    behind = Cutout(render_colors(mesh, red_rod, views.camera_to_world[0], 200), "alpha", (0, 0, 200))
    textured = texturing.bake(mesh, ColoredField(constant(0, 0, 1)), views, behind, 512)
    position, color, source, _ = texels(textured)
    eye = views.camera_to_world[1, :3, 3]
    at_rod = eye + (position - eye) * ((-0.15 - eye[1]) / (position[:, 1:2] - eye[1]))
    front = np.abs(position[:, 1] + 0.025) < 1e-4
    hidden = front & (np.abs(at_rod[:, 0] - 0.07) < 0.005) & (np.abs(at_rod[:, 2]) < 0.2)
    assert hidden.sum() > 200
    assert np.allclose(color[hidden], [0, 0, 1], atol=0.02) and (source[hidden] == 85).all()
    seen = front & (np.abs(at_rod[:, 0] - 0.07) > 0.05) & (np.abs(position[:, [0, 2]]) < 0.25).all(1)
    assert np.allclose(color[seen], [0, 1, 0], atol=0.02)


def test_input_image_is_projected_upright_and_not_mirrored():
    mesh = ball()
    views = render_views(mesh, constant(0.5, 0.5, 0.5), [(FRONT, 0)])
    image = render_colors(mesh, constant(0, 0, 0), views.camera_to_world[0], 600)
    image[:300, :300, :3], image[:300, 300:, :3] = (1, 0, 0), (0, 1, 0)
    image[300:, :300, :3], image[300:, 300:, :3] = (0, 0, 1), (1, 1, 0)
    cutout = Cutout(image, "alpha", (0, 0, 600))
    textured = texturing.bake(mesh, ColoredField(constant(0.5, 0.5, 0.5)), views, cutout, 512)
    # the input camera is on -Y: its right is +X, its up is +Z
    position, color, source, _ = texels(textured)
    above = position[:, 2] * np.sin(np.radians(FRONT)) + position[:, 1] * np.cos(np.radians(FRONT))
    frontal = -position[:, 1] * np.sin(np.radians(FRONT)) + position[:, 2] * np.cos(np.radians(FRONT)) > 0.25
    assert (source[frontal] == 255).all()
    clear = frontal & (np.abs(position[:, 0]) > 0.02) & (np.abs(above) > 0.02)
    for right, up, rgb in ((-1, 1, (1, 0, 0)), (1, 1, (0, 1, 0)), (-1, -1, (0, 0, 1)), (1, -1, (1, 1, 0))):
        quadrant = clear & (position[:, 0] * right > 0) & (above * up > 0)
        assert np.allclose(color[quadrant], rgb, atol=0.02)
    rendered = raycasting.render(textured, views.camera_to_world[:1], 600)[0]
    middle = np.s_[150:450, 150:450]
    assert np.abs(rendered - image)[middle].mean() < 0.02


def test_input_image_does_not_bleed_past_depth_edges():
    """A red ball in front of a wall: no red may reach the wall."""
    wall = trimesh.creation.box((0.9, 0.1, 0.9)).subdivide_to_size(0.05).apply_translation((0, 0.3, 0))
    front = trimesh.creation.icosphere(4, 0.15).apply_translation((0, -0.2, 0))
    both = trimesh.util.concatenate([wall, front])
    both.merge_vertices()
    mesh = Mesh(both.vertices.astype(np.float32), both.faces.astype(np.int32))

    def color_of(points):
        return np.where(points[:, 1:2] < 0, np.float32([1, 0, 0]), np.float32([0, 1, 0]))

    views = render_views(mesh, color_of, [(FRONT, 0)])
    image = render_colors(mesh, color_of, views.camera_to_world[0], 512)
    textured = texturing.bake(mesh, ColoredField(constant(0, 1, 0)), views, Cutout(image, "alpha", (0, 0, 512)), 512)
    position, color, source, _ = texels(textured)
    on_wall = position[:, 1] > 0.1
    assert (source[on_wall] == 255).any()
    assert color[on_wall, 0].max() < 0.02


def test_cutout_rim_is_not_used():
    mesh = ball()
    views = render_views(mesh, constant(1, 0, 0), [(FRONT, 0)])
    image = render_colors(mesh, constant(1, 0, 0), views.camera_to_world[0], 512)
    opaque = image[..., 3] > 0
    inside = opaque.copy()
    for _ in range(3):
        inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    image[opaque & ~inside, :3] = (0, 0, 1)
    textured = texturing.bake(mesh, ColoredField(constant(1, 0, 0)), views, Cutout(image, "alpha", (0, 0, 512)), 512)
    assert texels(textured)[1][:, 2].max() < 0.02


def test_margin_repeats_the_nearest_color():
    mesh = ball()
    views = render_views(mesh, ramp, [(FRONT, 0)])
    image = render_colors(mesh, ramp, views.camera_to_world[0], 256)
    textured = texturing.bake(mesh, ColoredField(ramp), views, Cutout(image, "alpha", (0, 0, 256)), 512)
    *_, (row, column) = texels(textured)
    covered = np.zeros((512, 512), bool)
    covered[row, column] = True
    assert (covered == (textured.confidence > 0)).all()
    outside = ~covered
    # one texel from a chart there is a color of the chart, not black
    adjacent = outside & (np.roll(covered, 1, 0) | np.roll(covered, -1, 0))
    neighbors = np.stack([np.roll(textured.texture, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    in_chart = np.stack([np.roll(covered, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    same = ((neighbors == textured.texture).all(-1) & in_chart).any(0)
    assert same[adjacent].all()

"""UVs that never overlap, and colors that come from where they should."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend import camera, meshing, texturing
from backend.rendering import raycasting
from backend.texturing import rasterization
from backend.types import Cutout, Mesh, Views
from tests.helpers.fields import FIELDS, AnalyticField

FRONT = 80
"""Polar angle of the input camera."""


def ball(radius: float = 0.4) -> Mesh:
    made = trimesh.creation.icosphere(5, radius)
    return Mesh(made.vertices.astype(np.float32), made.faces.astype(np.int32))


def seen(shape: Mesh, color, pose: np.ndarray, size: int) -> np.ndarray:
    """The shape painted with color(points), as one camera sees it: (size, size, 4)."""
    origins, directions = (a.reshape(-1, 3) for a in camera.rays(pose, size))
    hit, distance, _, _ = raycasting.cast(shape, origins, directions)
    picture = np.zeros((size * size, 4), np.float32)
    picture[hit, :3], picture[hit, 3] = color(origins[hit] + directions[hit] * distance[hit, None]), 1
    return picture.reshape(size, size, 4)


def views(shape: Mesh, color, angles) -> Views:
    poses = camera.camera_to_world(*np.array(angles, float).T)
    pictures = np.stack([seen(shape, color, pose, 128) for pose in poses])
    alpha = pictures[..., 3:]
    names = ("input", *(str(k) for k in range(len(poses) - 1)))
    return Views(pictures[..., :3] * alpha + 1 - alpha, pictures[..., 3], poses, names)


def plain(*rgb: float):
    return lambda points: np.tile(np.float32(rgb), (len(points), 1))


def ramp(points: np.ndarray) -> np.ndarray:
    return np.clip(points + 0.5, 0, 1).astype(np.float32)


class Painted(AnalyticField):
    def __init__(self, color):
        super().__init__(lambda points: np.ones(len(points)))
        object.__setattr__(self, "color", color)


def texels(textured):
    """Every covered texel's place on the mesh, its color 0..1 and its confidence."""
    size = len(textured.texture)
    triangles = textured.uvs.astype(np.float64) * size
    face, column, row = rasterization.cover(triangles)
    weights = rasterization.barycentric(triangles[face], np.stack([column, row], -1) + 0.5)
    place = np.einsum("pc,pcd->pd", weights, textured.mesh.vertices[textured.mesh.faces[face]])
    return (
        place,
        textured.texture[size - 1 - row, column] / 255,
        textured.confidence[size - 1 - row, column],
        (size - 1 - row, column),
    )


@pytest.mark.parametrize("name", sorted(FIELDS))
@pytest.mark.parametrize("faces", [500, 20000])
def test_uvs_never_overlap(name, faces):
    shape = meshing.extract(FIELDS[name], 64, faces)
    uvs = texturing.unwrap(shape, 1024).astype(np.float64)
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    assert (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).min() >= 0, "mirrored"
    for size, most in ((1024, 0), (3000, 2e-5)):
        _, column, row = rasterization.cover(uvs * size)
        assert (column >= 0).all() and (row >= 0).all() and (column < size).all() and (row < size).all()
        layers = np.bincount(row * size + column, minlength=size * size)
        assert (layers > 1).sum() <= most * (layers > 0).sum()


def test_texel_density_is_even():
    shape = ball()
    uvs = texturing.unwrap(shape, 1024).astype(np.float64)
    corners = shape.vertices[shape.faces].astype(np.float64)
    solid = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    a, b = uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]
    density = np.sqrt((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / solid)
    assert np.quantile(density, 0.99) / np.quantile(density, 0.01) < 1.5
    assert (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2 > 0.45, "half of the square is used"


def test_islands_keep_their_distance():
    shape = meshing.extract(FIELDS["mug"], 64, 5000)
    size = 1024
    uvs = texturing.unwrap(shape, size)
    edge_of = {}
    parent = np.arange(len(shape.faces))

    def root(face):
        while parent[face] != face:
            face = parent[face]
        return face

    for face, (corners, places) in enumerate(zip(shape.faces.tolist(), uvs.tolist(), strict=True)):
        for k in range(3):
            ends = frozenset(((corners[k], *places[k]), (corners[k - 2], *places[k - 2])))
            if ends in edge_of:
                parent[root(face)] = root(edge_of[ends])
            edge_of[ends] = face
    island = np.array([root(face) for face in range(len(shape.faces))])
    face, column, row = rasterization.cover(uvs.astype(np.float64) * size)
    owner = np.full((size + 8, size + 8), -1)
    owner[row + 4, column + 4] = island[face]
    assert len(np.unique(island)) > 5
    for down in range(-4, 5):
        for right in range(-4, 5):
            other = np.roll(owner, (down, right), (0, 1))
            assert not ((owner >= 0) & (other >= 0) & (owner != other)).any(), (down, right)


def test_the_scan_lines_cover_what_the_triangles_cover():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 40, (30, 3, 2))
    face, column, row = rasterization.cover(corners)
    got = set(zip(face.tolist(), column.tolist(), row.tolist(), strict=True))
    x, y = np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5)
    for k, (a, b, c) in enumerate(corners):
        sides = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        inside = (np.stack(sides) > 0).all(0) | (np.stack(sides) < 0).all(0)
        want = {(k, int(i), int(j)) for j, i in zip(*np.nonzero(inside), strict=True)}
        assert want == {one for one in got if one[0] == k}


def test_a_painted_ball_gets_its_colors_back():
    shape = ball()
    pictures = views(shape, ramp, [(FRONT, 0), *((polar, az) for polar in (60, 110) for az in range(0, 360, 60))])
    cutout = Cutout(seen(shape, ramp, pictures.camera_to_world[0], 512), "alpha", (0, 0, 512))
    textured = texturing.bake(shape, Painted(ramp), pictures, cutout, 512)
    place, color, source, _ = texels(textured)
    assert set(np.unique(source)) == {85, 170, 255}
    assert set(np.unique(textured.confidence)) == {0, 85, 170, 255}
    error = np.abs(color - ramp(place)).max(1)
    for kind, most in ((255, 0.01), (170, 0.03), (85, 0.03)):
        assert np.quantile(error[source == kind], 0.99) < most, kind


def test_photo_then_views_then_field():
    shape = ball()
    pictures = views(shape, plain(0, 1, 0), [(FRONT, 0), (FRONT, 90), (FRONT, 0)])
    cutout = Cutout(seen(shape, plain(1, 0, 0), pictures.camera_to_world[0], 512), "alpha", (0, 0, 512))
    textured = texturing.bake(shape, Painted(plain(0, 0, 1)), pictures, cutout, 512)
    place, color, source, _ = texels(textured)
    eyes = pictures.camera_to_world[:, :3, 3]
    towards = [(place / 0.4 * (eye - place) / np.linalg.norm(eye - place, axis=1)[:, None]).sum(1) for eye in eyes]
    by_photo, by_side = towards[0], towards[1]
    assert np.allclose(color[by_photo > 0.5], [1, 0, 0], atol=0.01)
    assert np.allclose(color[(by_photo < 0.1) & (by_side > 0.5)], [0, 1, 0], atol=0.01)
    assert np.allclose(color[(by_photo < 0) & (by_side < 0)], [0, 0, 1], atol=0.01)
    assert (source[by_photo > 0.5] == 255).all()
    assert (source[(by_photo < 0.1) & (by_side > 0.5)] == 170).all()
    assert (source[(by_photo < 0) & (by_side < 0)] == 85).all()


def test_without_pictures_the_field_colors_everything_and_every_chunk_is_told(monkeypatch):
    monkeypatch.setattr("backend.texturing.baking.CHUNK", 10_000)
    told = []
    textured = texturing.bake(ball(), Painted(ramp), None, None, 256, told.append)
    place, color, confidence, _ = texels(textured)
    assert np.abs(color - ramp(place)).max() < 0.01
    assert (confidence == 85).all()
    assert told == [done / len(place) for done in (*range(10_000, len(place), 10_000), len(place))]


def test_the_photo_lands_upright_and_not_mirrored():
    shape = ball()
    pictures = views(shape, plain(0.5, 0.5, 0.5), [(FRONT, 0)])
    photo = seen(shape, plain(0, 0, 0), pictures.camera_to_world[0], 600)
    photo[:300, :300, :3], photo[:300, 300:, :3] = (1, 0, 0), (0, 1, 0)
    photo[300:, :300, :3], photo[300:, 300:, :3] = (0, 0, 1), (1, 1, 0)
    textured = texturing.bake(shape, Painted(plain(0.5, 0.5, 0.5)), pictures, Cutout(photo, "alpha", (0, 0, 600)), 512)
    # the picture's camera stands on -Y: its right is +X, its up is +Z
    place, color, source, _ = texels(textured)
    above = place[:, 2] * np.sin(np.radians(FRONT)) + place[:, 1] * np.cos(np.radians(FRONT))
    ahead = -place[:, 1] * np.sin(np.radians(FRONT)) + place[:, 2] * np.cos(np.radians(FRONT)) > 0.25
    assert (source[ahead] == 255).all()
    clear = ahead & (np.abs(place[:, 0]) > 0.02) & (np.abs(above) > 0.02)
    for right, up, rgb in ((-1, 1, (1, 0, 0)), (1, 1, (0, 1, 0)), (-1, -1, (0, 0, 1)), (1, -1, (1, 1, 0))):
        here = clear & (place[:, 0] * right > 0) & (above * up > 0)
        assert np.allclose(color[here], rgb, atol=0.02)
    again = raycasting.render(textured, pictures.camera_to_world[0], 600)
    middle = np.s_[150:450, 150:450]
    assert np.abs(again - photo)[middle].mean() < 0.02


def test_the_photo_does_not_bleed_past_an_edge_or_through_the_front():
    """A ball before a wall: the ball is red in the photo, and no red may reach the wall."""
    wall = trimesh.creation.box((0.9, 0.1, 0.9)).subdivide_to_size(0.05).apply_translation((0, 0.3, 0))
    front = trimesh.creation.icosphere(4, 0.15).apply_translation((0, -0.2, 0))
    both = trimesh.util.concatenate([wall, front])
    both.merge_vertices()
    shape = Mesh(both.vertices.astype(np.float32), both.faces.astype(np.int32))

    def paint(points):
        return np.where(points[:, 1:2] < 0, np.float32([1, 0, 0]), np.float32([0, 1, 0]))

    pictures = views(shape, paint, [(FRONT, 0)])
    photo = seen(shape, paint, pictures.camera_to_world[0], 512)
    textured = texturing.bake(shape, Painted(plain(0, 1, 0)), pictures, Cutout(photo, "alpha", (0, 0, 512)), 512)
    place, color, source, _ = texels(textured)
    on_wall = place[:, 1] > 0.1
    assert (source[on_wall] == 255).any()
    assert color[on_wall, 0].max() < 0.02


def test_background_at_the_rim_of_the_cut_out_is_not_used():
    shape = ball()
    pictures = views(shape, plain(1, 0, 0), [(FRONT, 0)])
    photo = seen(shape, plain(1, 0, 0), pictures.camera_to_world[0], 512)
    opaque = photo[..., 3] > 0
    inside = opaque.copy()
    for _ in range(3):
        inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    photo[opaque & ~inside, :3] = (0, 0, 1)
    textured = texturing.bake(shape, Painted(plain(1, 0, 0)), pictures, Cutout(photo, "alpha", (0, 0, 512)), 512)
    assert texels(textured)[1][:, 2].max() < 0.02


def test_margins_repeat_the_nearest_color():
    shape = ball()
    pictures = views(shape, ramp, [(FRONT, 0)])
    photo = seen(shape, ramp, pictures.camera_to_world[0], 256)
    textured = texturing.bake(shape, Painted(ramp), pictures, Cutout(photo, "alpha", (0, 0, 256)), 512)
    *_, (row, column) = texels(textured)
    covered = np.zeros((512, 512), bool)
    covered[row, column] = True
    assert (covered == (textured.confidence > 0)).all()
    outside = ~covered
    # one step from an island there is a color of the island, not black
    beside = outside & (np.roll(covered, 1, 0) | np.roll(covered, -1, 0))
    neighbors = np.stack([np.roll(textured.texture, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    islands = np.stack([np.roll(covered, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    same = ((neighbors == textured.texture).all(-1) & islands).any(0)
    assert same[beside].all()

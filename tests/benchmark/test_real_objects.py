"""Real objects from packs as the benchmark's shapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.camera import camera_to_world, project
from backend.errors import UserError
from benchmark.baselines import single_color
from benchmark.ground_truth import GroundTruth
from benchmark.real_objects import RealObject, load_real_objects
from benchmark.surface_points import sample_surface
from objects.pack import TexturedObject, write_pack
from procedural.normalization import FRAME_FILL, MAX_COORDINATE
from tests.helpers.training_runs import CUBE, CUBE_FACES, cube


def nested_cubes() -> TexturedObject:
    """A cube in another one."""
    outer = cube(7, (1, 1, 1))
    return replace(
        outer,
        vertices=np.concatenate([CUBE, CUBE / 2]),
        faces=np.concatenate([CUBE_FACES, CUBE_FACES + 8]),
        uv_faces=np.concatenate([outer.uv_faces] * 2),
    )


@pytest.mark.parametrize("scale", [(1, 0.6, 0.3), (0.1, 0.1, 1), (1, 1, 1), (1, 1, 0.02)], ids=str)
@pytest.mark.parametrize("number", [0, 50])
def test_objects_are_framed_as_cutouts_are(number, scale):
    shape = RealObject(cube(number, scale), "cube")
    pixels, _ = project(shape.mesh.vertices.astype(float), camera_to_world(90 - shape.elevation, 0.0), 1)
    np.testing.assert_allclose((pixels.min(0) + pixels.max(0)) / 2, 0.5, atol=0.01)
    reach = np.abs(shape.mesh.vertices).max()
    assert reach < MAX_COORDINATE + 1e-4
    assert np.ptp(pixels, axis=0).max() == pytest.approx(FRAME_FILL, abs=0.01) or reach > MAX_COORDINATE - 1e-3


def test_an_object_looks_the_same_every_time_and_unlike_others():
    first, again, other = (GroundTruth(RealObject(cube(n), "cube")) for n in (50, 50, 100))
    np.testing.assert_array_equal(first.picture(size=64), again.picture(size=64))
    assert first.shape.elevation != other.shape.elevation


def test_pictures_show_the_texture_in_the_objects_light():
    textured = cube(50, (1, 1, 1))
    image = GroundTruth(RealObject(textured, "cube")).picture(size=128)
    colors = image[image[..., 3] == 1][:, :3]
    hue = textured.texture[0, 0] / 255
    # Light is white: every color is the texture's, but darker.
    brightness = colors @ hue / (hue @ hue)
    np.testing.assert_allclose(colors, brightness[:, None] * hue, atol=0.02)
    assert 0.3 < brightness.min() < brightness.max() <= 1
    assert len(np.unique(brightness.round(1))) > 1, "sides are lit differently"


@pytest.mark.parametrize("side", [1, -1], ids=["front", "back"])
def test_both_sides_of_a_triangle_are_lit_alike_by_where_they_face(side):
    shape = RealObject(cube(50, (1, 1, 1)), "cube")
    at = sample_surface(shape.mesh, 500)
    outward = shape.normals(at, -at.points)
    seen = shape.normals(at, -side * at.points)
    np.testing.assert_allclose(seen, side * outward, atol=1e-6)
    assert (np.einsum("pd,pd->p", outward, at.points) > 0).all()


def test_only_what_is_seen_from_outside_counts():
    shape = RealObject(nested_cubes(), "cubes")
    at = sample_surface(shape.mesh, 2000)
    is_outside, directions = shape.outside(at)
    is_inner = at.faces >= len(CUBE_FACES)
    assert is_inner.any()
    assert not is_outside[is_inner].any()
    assert is_outside[~is_inner].mean() > 0.8  # all but the bottom, which no camera below is steep enough for
    np.testing.assert_allclose(np.linalg.norm(directions[is_outside], axis=-1), 1, atol=1e-6)
    truth = GroundTruth(shape, view_size=64)
    outer = RealObject(cube(7, (1, 1, 1)), "cube")
    result = truth.evaluate(single_color(outer.mesh, np.full(3, 0.5)))
    assert result["f02"] == pytest.approx(1, abs=0.1)
    assert shape.genus == 0


@pytest.mark.parametrize(
    ("ids", "expected"), [("test", [50, 100]), ("all", [49, 50, 51, 100]), ({49, 100}, [49, 100]), ({51, 7}, [51])]
)
def test_packs_give_the_objects_asked_for(ids, expected, tmp_path):
    write_pack(tmp_path / "a.npz", [cube(number) for number in (49, 50, 51)])
    write_pack(tmp_path / "b.npz", [cube(100)])
    loaded = load_real_objects([tmp_path / "a.npz", tmp_path / "b.npz"], ids)
    assert [int(shape.name.rpartition("-")[2]) for shape in loaded] == expected


@pytest.mark.parametrize("content", [None, b"no pack", b""], ids=["missing", "text", "empty"])
def test_what_is_no_pack_is_refused_in_one_sentence(content, tmp_path):
    path = tmp_path / "pack.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"pack\.npz is no pack of objects: "):
        load_real_objects([path])


@pytest.mark.parametrize("arrays", [{"vertices": np.zeros(3)}, {"id": np.arange(3)}], ids=["mesh", "ids only"])
def test_other_npz_files_are_no_packs(arrays, tmp_path):
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(UserError, match="is no pack of objects: "):
        load_real_objects([tmp_path / "other.npz"])


def test_packs_without_the_objects_asked_for_are_refused(tmp_path):
    write_pack(tmp_path / "a.npz", [cube(1)])
    with pytest.raises(UserError, match="--object-ids"):
        load_real_objects([tmp_path / "a.npz"])

"""Files that other programs read back as what was meant."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from backend import camera, meshing, texturing
from backend.data_types import Mesh, TexturedMesh
from backend.io import export
from backend.rendering import raycasting, turntable
from tests.helpers.fields import FIELDS

PREVIEW = np.arange(64 * 128 * 3, dtype=np.uint8).reshape(64, 128, 3)
REPORT = {"elevation": {"degrees": 15.0}, "picture": "Tasse № 1.png"}


@pytest.fixture(scope="module")
def textured() -> TexturedMesh:
    """A mug whose texture shows its UV coordinates: red grows to the right, green upwards."""
    shape = meshing.extract(FIELDS["mug"], 64, 3000)
    steps = ((np.arange(256) + 0.5) / 256 * 255).astype(np.uint8)
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = steps[None], steps[::-1, None], 40
    return TexturedMesh(shape, texturing.unwrap(shape, 256), picture, np.full((256, 256), 170, np.uint8))


@pytest.fixture(scope="module")
def read(textured) -> trimesh.Trimesh:
    """What another reader makes of the GLB."""
    return trimesh.load(io.BytesIO(export.to_glb(textured)), file_type="glb", force="mesh", process=False)


def test_glb_has_the_same_surface_turned_y_up(textured, read):
    low, high = textured.mesh.vertices.min(0), textured.mesh.vertices.max(0)
    assert np.allclose(read.bounds, [[low[0], low[2], -high[1]], [high[0], high[2], -low[1]]], atol=1e-6)
    back = read.vertices[read.faces][..., [0, 2, 1]] * [1, -1, 1]
    assert np.allclose(back, textured.mesh.vertices[textured.mesh.faces], atol=1e-6)
    merged = trimesh.Trimesh(read.vertices, read.faces, process=True, merge_tex=True, merge_norm=True)
    assert merged.is_watertight
    assert merged.volume == pytest.approx(meshing.measure(textured.mesh)["volume"], rel=1e-3)


def test_glb_keeps_uvs_texture_and_normals(textured, read):
    assert np.allclose(read.visual.uv[read.faces], textured.uvs, atol=1e-6)
    material = read.visual.material
    assert (np.asarray(material.baseColorTexture.convert("RGB")) == textured.texture).all()
    assert material.metallicFactor == 0
    assert material.roughnessFactor == pytest.approx(0.8)
    length = np.linalg.norm(read.vertex_normals, axis=1)
    assert np.allclose(length, 1, atol=1e-3)
    outward = np.einsum("fcd,fd->fc", read.vertex_normals[read.faces], read.face_normals)
    assert (outward > 0).mean() > 0.99


def test_glb_splits_vertices_only_at_seams(textured, read):
    corners = np.column_stack([textured.mesh.faces.reshape(-1, 1), textured.uvs.reshape(-1, 2)])
    assert len(read.vertices) == len(np.unique(corners, axis=0)) < 1.6 * len(textured.mesh.vertices)


def test_all_files_are_there_and_agree(textured, tmp_path):
    files = export.write_mesh(tmp_path, textured) | export.write_report(tmp_path, PREVIEW, REPORT)
    assert sorted(files.values()) == sorted(path.name for path in tmp_path.iterdir())
    with np.load(tmp_path / files["mesh"]) as arrays:
        stored = {name: arrays[name] for name in ("vertices", "faces", "uvs")}
    assert {name: array.dtype.str[1:] for name, array in stored.items()} == {
        "vertices": "f4",
        "faces": "i4",
        "uvs": "f4",
    }
    assert (stored["vertices"] == textured.mesh.vertices).all() and (stored["uvs"] == textured.uvs).all()
    assert (np.asarray(Image.open(tmp_path / files["texture"])) == textured.texture).all()
    assert (np.asarray(Image.open(tmp_path / files["confidence"])) == textured.confidence).all()
    assert json.loads((tmp_path / files["report"]).read_text(encoding="utf-8")) == REPORT
    assert (np.asarray(Image.open(tmp_path / files["preview"])) == PREVIEW).all()


def test_a_folder_that_cannot_be_written_is_an_oserror(textured, tmp_path):
    with pytest.raises(OSError):
        export.write_mesh(tmp_path / "gone", textured)
    with pytest.raises(OSError):
        export.write_report(tmp_path / "gone", PREVIEW, REPORT)


def test_turntable_starts_with_what_the_input_camera_saw(textured):
    small = replace(textured, mesh=Mesh(textured.mesh.vertices * np.float32(0.7), textured.mesh.faces))
    strip = turntable.turntable(small, 15, 96)
    assert strip.shape == (192, 384, 3)
    seen = raycasting.render(small, camera.camera_to_world(75, 0)[None], 96, shaded=True, samples=2)[0]
    solid = seen[..., 3] == 1
    assert np.abs(strip[:96, :96][solid] / 255 - seen[solid][:, :3]).max() < 0.01
    background = strip[:96, :96][seen[..., 3] == 0]
    assert (background.max(1) == background.min(1)).all() and 190 < background.mean() < 240


def test_turntable_shows_all_of_a_large_object(textured):
    large = replace(textured, mesh=Mesh(textured.mesh.vertices * np.float32(1.3), textured.mesh.faces))
    strip = turntable.turntable(large, 15, 64).reshape(2, 64, 4, 64, 3)
    border = np.concatenate([strip[:, :, :, [0, -1]].reshape(-1, 3), strip[:, [0, -1]].reshape(-1, 3)])
    assert (border.max(1) == border.min(1)).all()


def test_turntable_of_an_object_seen_from_straight_above():
    ball = trimesh.creation.icosphere(2, 0.4)
    shape = Mesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))
    uvs = np.zeros((len(shape.faces), 3, 2), np.float32)
    gray = TexturedMesh(shape, uvs, np.full((2, 2, 3), 99, np.uint8), np.full((2, 2), 85, np.uint8))
    strip = turntable.turntable(gray, 90, 32)
    assert strip[48, 16].tolist() != strip[34, 2].tolist()

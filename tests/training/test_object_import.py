"""Packs made of a person's own models."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from objects.pack import ObjectPack
from training import objects


def painted_box() -> trimesh.Trimesh:
    """Red above, blue below."""
    box = trimesh.creation.box((1, 1, 1))
    top = box.triangles_center[:, 1] > 0
    box.visual.face_colors = np.where(top[:, None], [220, 20, 20, 255], [20, 20, 220, 255])
    return box


def textured_sphere() -> trimesh.Trimesh:
    """A texture whose left half is green and right half is white, with texture coordinates beyond 1."""
    sphere = trimesh.creation.uv_sphere(count=[24, 24])
    image = np.full((8, 8, 3), 255, np.uint8)
    image[:, :4] = 20, 200, 20
    uv = np.stack([sphere.vertices[:, 0] * 0.45 + 3.5, sphere.vertices[:, 1] * 0.45 + 0.5], -1)
    material = trimesh.visual.material.SimpleMaterial(image=Image.fromarray(image), diffuse=[255, 255, 255])
    sphere.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    return sphere


def color_at(textured, direction) -> np.ndarray:
    """The color of the triangle furthest in a direction."""
    centers = textured.vertices[textured.faces].mean(1)
    u, v = textured.uvs[textured.uv_faces[(centers @ direction).argmax()]].mean(0)
    height, width = textured.texture.shape[:2]
    return textured.texture[int((1 - v) * height), int(u * width)]


def pack(folder: Path, monkeypatch, *arguments: str) -> list:
    monkeypatch.setattr(sys, "argv", ["objects", str(folder), "-o", str(folder / "my.npz"), *arguments])
    objects.main()
    return list(ObjectPack(folder / "my.npz"))


@pytest.mark.parametrize("name", ["box.glb", "box.ply"])
def test_colors_stay_where_they_are_and_up_becomes_z(tmp_path, monkeypatch, name):
    painted_box().export(tmp_path / name)
    (found,) = pack(tmp_path, monkeypatch)
    assert color_at(found, [0, 0, 1])[0] > 150 and color_at(found, [0, 0, -1])[2] > 150
    np.testing.assert_allclose([found.vertices.min(0), found.vertices.max(0)], [[-1] * 3, [1] * 3], atol=1e-3)


def test_models_whose_z_points_up_stay_as_they_are(tmp_path, monkeypatch):
    trimesh.creation.box((1, 2, 4)).export(tmp_path / "box.ply")
    (found,) = pack(tmp_path, monkeypatch, "--up", "z")
    np.testing.assert_allclose(np.ptp(found.vertices, axis=0), [0.5, 1, 2], atol=1e-3)


@pytest.mark.parametrize("most_faces", [4000, 200])
def test_textures_survive_the_reduction_of_faces(tmp_path, monkeypatch, most_faces):
    textured_sphere().export(tmp_path / "sphere.glb")
    (found,) = pack(tmp_path, monkeypatch, "--faces", str(most_faces))
    assert len(found.faces) <= most_faces
    left, right = (color_at(found, direction).astype(int) for direction in ([-1, 0, 0], [1, 0, 0]))
    assert left[0] < 80 and left[1] > 150 and right.min() > 200


def test_parts_share_one_texture_and_bad_files_are_left_out(tmp_path, monkeypatch, capsys):
    other = textured_sphere().apply_translation([3, 0, 0])
    trimesh.Scene([painted_box(), other]).export(tmp_path / "a.glb")
    (tmp_path / "b.obj").write_text("no model")
    (tmp_path / "c.glb").write_bytes(b"glTF" + bytes(20))
    (found,) = pack(tmp_path, monkeypatch)
    assert color_at(found, [-1, 0, 0.3])[1] < 60 and color_at(found, [1, 0, 0]).min() > 200
    assert capsys.readouterr().err.count("left out") == 2


def test_a_folder_without_models_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="no model"):
        pack(tmp_path, monkeypatch)

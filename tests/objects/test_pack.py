"""Packs of textured objects."""

from __future__ import annotations

import numpy as np
import pytest

from objects.pack import ObjectPack, is_test_object, write_pack
from tests.helpers.training_runs import cube


def test_a_pack_gives_back_its_objects(tmp_path):
    write_pack(tmp_path / "pack.npz", [cube(number) for number in (49, 50, 51)])
    read = ObjectPack(tmp_path / "pack.npz")
    assert len(read) == 3
    for textured, expected in zip(read, (cube(number) for number in (49, 50, 51)), strict=True):
        assert textured.id == expected.id
        corners, uv_corners = (expected.vertices[expected.faces], expected.uvs[expected.uv_faces])
        np.testing.assert_allclose(textured.vertices[textured.faces], corners, atol=1 / 4095 + 1e-6)
        np.testing.assert_allclose(textured.uvs[textured.uv_faces], uv_corners, atol=0.5 / 4095 + 1e-6)
        assert np.abs(textured.texture.astype(int) - expected.texture).max() <= 4  # WebP
    with pytest.raises(IndexError):
        read[3]


def test_every_fiftieth_object_is_set_aside():
    assert is_test_object(np.array([0, 1, 49, 50, 51, 2950])).tolist() == [True, False, False, True, False, True]

"""How objects are shaded and colored."""

from __future__ import annotations

import numpy as np

from objects.appearance import corner_normals, resize_texture
from tests.helpers.training_runs import CUBE, CUBE_FACES


def test_edges_stay_sharp_and_curved_surfaces_are_smooth():
    normals = corner_normals(CUBE, CUBE_FACES)
    assert (np.abs(normals).max(-1) > 0.999).all()  # along an axis, not toward a corner
    angles = np.arange(24) * (2 * np.pi / 24)
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    vertices = np.concatenate([np.c_[ring, np.full(24, z)] for z in (0.0, 1.0)]).astype(np.float32)
    k = np.arange(24)
    n = (k + 1) % 24
    faces = np.concatenate([np.stack([k, n, n + 24], 1), np.stack([k, n + 24, k + 24], 1)])
    normals = corner_normals(vertices, faces)
    np.testing.assert_allclose((normals[..., :2] * vertices[faces][..., :2]).sum(-1), 1, atol=0.005)


def test_palettes_keep_their_hard_borders_and_pictures_are_smooth():
    halves = np.zeros((1, 2, 3), np.uint8)
    halves[:, 1] = 255
    assert set(np.unique(resize_texture(halves, 64))) == {0, 255}
    assert len(np.unique(resize_texture(np.repeat(np.repeat(halves, 80, 0), 40, 1), 64))) > 2
    assert resize_texture(np.zeros((128, 128, 3), np.uint8), 64).shape == (64, 64, 3)

"""Pairs of objects of packs: triangles, textures and contact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.joined_objects import Parts, join


def boxes(count: int, color: int, faces: int, padded: int) -> Parts:
    """``count`` clouds of ``faces`` triangles in -1..1, padded; their normals are ``color``."""
    generator = torch.Generator().manual_seed(color)
    triangles = torch.zeros(count, padded, 3, 3)
    triangles[:, :faces] = 2 * torch.rand(count, faces, 3, 3, generator=generator) - 1
    uvs = torch.rand(count, padded, 3, 2, generator=generator)
    textures = torch.full((count, 8, 8, 3), color, dtype=torch.uint8)
    normals = torch.full_like(triangles, color)
    counts = torch.full((count,), faces, dtype=torch.int32)
    return Parts(triangles, normals, uvs, counts, torch.zeros_like(counts), textures, triangles + color)


@pytest.fixture
def pair() -> tuple[Parts, Parts]:
    return boxes(200, 10, 5, 7), boxes(200, 200, 4, 9)


def test_object_that_is_not_joined_stays_as_it_is(pair):
    first, second = pair
    same = join(first, second, torch.zeros(200, dtype=torch.bool), np.random.default_rng(0))
    assert (same.counts == 5).all()
    for name in ("triangles", "normals", "uvs"):
        assert torch.equal(getattr(same, name)[:, :5], getattr(first, name)[:, :5]), name
    assert torch.equal(same.textures, first.textures)


def test_joined_object_has_the_triangles_of_both_without_gaps(pair):
    first, second = pair
    both = join(first, second, torch.ones(200, dtype=torch.bool), np.random.default_rng(0))
    assert (both.counts == 9).all()
    assert torch.equal(both.triangles[:, :5], first.triangles[:, :5])
    assert torch.equal(both.own_triangles[:, :5], first.own_triangles[:, :5])
    assert torch.equal(both.own_triangles[:, 5:9], second.own_triangles[:, :4])  # however it was placed
    sides = torch.linalg.norm(both.triangles[:, 5:9, 0] - both.triangles[:, 5:9, 1], dim=-1)
    own = torch.linalg.norm(second.triangles[:, :4, 0] - second.triangles[:, :4, 1], dim=-1)
    ratio = sides / own
    torch.testing.assert_close(ratio, ratio[:, :1].expand(-1, 4), rtol=1e-4, atol=1e-4)  # one scale each
    assert ratio.min() > 0.1 and ratio.max() < 1.5


def test_joined_objects_touch(pair):
    first, second = pair
    both = join(first, second, torch.ones(200, dtype=torch.bool), np.random.default_rng(1))
    low, high = (getattr(first.triangles[:, :5].flatten(1, 2), name)(1) for name in ("amin", "amax"))
    own_low, own_high = (getattr(both.triangles[:, 5:9].flatten(1, 2), name)(1) for name in ("amin", "amax"))
    assert ((own_low <= high + 1e-4) & (own_high >= low - 1e-4)).all()


def test_each_object_has_its_half_of_the_texture(pair):
    first, second = pair
    both = join(first, second, torch.ones(200, dtype=torch.bool), np.random.default_rng(0))
    column = (both.uvs[..., 0] * 8).long().clamp_max(7)
    shown = both.textures[0, 0, :, 0].long()[column]
    assert (shown[:, :5] == 10).all() and (shown[:, 5:9] == 200).all()

"""One-2-3-45's surface network never holds its largest tensors at once, and computes the same without them."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from backend import camera
from backend.surface.one2345.features import Pyramid, fuse, sample_fused
from backend.surface.one2345.field import One2345Field
from backend.surface.one2345.network import One2345
from tests.helpers.tensor_memory import TensorMemory


def random_pyramid(views: int, size: int) -> Pyramid:
    torch.manual_seed(0)
    levels = ((8, size), (16, size // 2), (32, size // 4))
    return Pyramid(*(torch.randn(views, channels, side, side) for channels, side in levels))


def test_features_at_a_place_are_those_of_the_fused_maps():
    """Between pixels, on pixels, on the frame's edge, and outside, where they fade to zero."""
    pyramid = random_pyramid(6, 32)
    plane = torch.rand(6, 500, 2) * 2 - 1
    plane[:, :10] = torch.linspace(-1, 1, 32)[torch.randint(32, (6, 10, 2))]
    plane[:, 10:14] = torch.tensor([[-1.0, -1], [1, 1], [-1, 0.3], [0.7, 1]])
    plane[:, 14:20] = torch.tensor([[2.0, 2], [-2, 0], [1.5, -1.5], [0, 1.2], [1.03, 0.4], [-1.02, -1.02]])
    expected = F.grid_sample(fuse(pyramid), plane[:, None], align_corners=True)[:, :, 0]
    sampled = sample_fused(pyramid, plane)
    torch.testing.assert_close(sampled, expected, atol=2e-5, rtol=0)
    assert not sampled[:, :, 14:18].any()
    assert expected.std() > 0.5


def test_groups_of_views_are_the_whole():
    pyramid = random_pyramid(6, 16)
    assert [len(group.full) for group in pyramid.groups()] == [4, 2]
    for level, parts in zip(pyramid, zip(*pyramid.groups(), strict=True), strict=True):
        assert torch.cat(parts).equal(level)
    assert torch.cat([fuse(group) for group in pyramid.groups()]).equal(fuse(pyramid))


def test_memory_of_a_surface_is_limited():
    """At full size: the fused feature maps alone would take 448 MiB."""
    torch.manual_seed(0)
    network = One2345().requires_grad_(False)
    rings = (*camera.FIRST_RING, *camera.second_ring(70))
    offsets = [(0.0, 0.0), *((p + dp, a + da) for _, p, a in rings for dp, da in camera.NEIGHBORS)]
    polar, azimuth = np.array(offsets).T
    cameras = camera.camera_to_world(70 + polar, azimuth).astype(np.float32)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (3000, 3)).astype(np.float32)
    with TensorMemory() as memory:
        field = One2345Field.from_images(network, torch.rand(32, 3, 256, 256), cameras)
        colors = field.color(points)
    assert memory.peak < 480 * 2**20
    # A field that was read from a file has no features until it is asked for a color.
    again = One2345Field(network, field.images, cameras, field.volume, field.mask)
    np.testing.assert_allclose(again.color(points), colors, atol=1e-6)

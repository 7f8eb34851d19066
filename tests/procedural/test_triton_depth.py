"""Depth maps rendered in Triton."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.camera import RADIUS, camera_to_world, rays
from procedural.scene import load_held_out
from procedural.triton_depth import BEYOND, depths
from procedural.triton_renderer import from_numpy


def along_rays(origins, directions, length):
    return origins + length[:, None] * directions


@pytest.mark.slow
def test_depths_are_where_a_ray_enters_and_first_leaves_the_object():
    scenes = [scene for scene in load_held_out() if scene.name in ("mug-0", "hat-0")]
    batch = from_numpy([(scene.rows, scene.object_to_world, scene.light) for scene in scenes], "cpu")
    poses = camera_to_world(np.float64([[60, 95], [50, 80]]), np.float64([0, 130]))
    entries_and_exits = depths(batch, torch.from_numpy(poses), 16, 0.6).float().numpy()
    assert entries_and_exits.shape == (2, 2, 16, 16, 2)
    for scene, views, cameras in zip(scenes, entries_and_exits, poses, strict=True):
        for entry_and_exit, pose in zip(views, cameras, strict=True):
            hit = entry_and_exit[..., 0] < BEYOND
            assert 20 < hit.sum() < 200
            assert (entry_and_exit[~hit] == BEYOND).all()
            origins, directions = (values[hit] for values in rays(pose, 16))
            ahead = directions @ -pose[:3, 2]
            near, far = ((entry_and_exit[hit] * 0.6 + RADIUS) / ahead[:, None]).T
            # half a count of 16 bits, and rays that only touch
            assert np.abs(scene.distance(along_rays(origins, directions, near))).max() < 6e-3
            assert (far > near).all()
            deep = far - near > 0.03
            assert deep.mean() > 0.8
            assert np.abs(scene.distance(along_rays(origins, directions, far)))[deep].max() < 8e-3
            for share in (0.25, 0.5, 0.75):
                assert (scene.distance(along_rays(origins, directions, near + share * (far - near)))[deep] < 0).all()

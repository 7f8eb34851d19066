"""How the surface network is trained: its kernels, what it is taught, the cameras it is shown."""

from __future__ import annotations

import numpy as np
import torch

from backend import camera
from tests.helpers.triton_interpreter import ONE_OF_EACH, interpreted, needs_triton


@needs_triton
def test_back_projection_in_one_pass_is_the_networks_own():
    interpreted(
        """
import numpy as np
import torch

from backend.camera import camera_to_world
from backend.surface.network import SurfaceNetwork
from training import back_projection

torch.set_num_threads(1)
torch.manual_seed(0)
back_projection.LEARNING = 2
shape = dict(image_size=16, features=8, depths=4, channels=[8, 16], resolution=8, half_side=0.6, hidden=8)
networks = SurfaceNetwork(**shape), back_projection.OnePassNetwork(**shape)
networks[1].load_state_dict(networks[0].state_dict())
pictures = torch.rand(2, 3, 4, 16, 16)
cameras = torch.from_numpy(camera_to_world(np.float64([[60, 75, 90], [100, 20, 55]]), np.float64([10, 100, 220])))
assert (cameras[..., 2, 3].min() < 0) and not torch.equal(cameras[0], cameras[1])
looks = [each.extract_features(pictures) for each in networks]
looks[0] = torch.cat([looks[0][:, :2], looks[0][:, 2:].detach()], 1)  # the third view is only looked at
wanted, found = (each.aggregate_views(maps, cameras) for each, maps in zip(networks, looks, strict=True))
torch.testing.assert_close(found, wanted, atol=5e-5, rtol=1e-5)  # votes magnify where a cell is looked up by 12
assert (wanted == 0).any()  # some cells fall outside the frame
direction = torch.randn_like(wanted)
for answer in (wanted, found):
    answer.backward(direction)
wanted, found = (torch.cat([each.grad.flatten() for each in network.features.parameters()]) for network in networks)
assert (found - wanted).norm() < 1e-5 * wanted.norm()
"""
    )


@needs_triton
def test_depths_are_where_a_ray_enters_and_first_leaves_the_object():
    interpreted(
        ONE_OF_EACH
        + """
from backend.camera import RADIUS, camera_to_world, rays
from training.depth import BEYOND, depths

scenes = [scene for scene in load_held_out() if scene.name in ("mug-0", "teddy-0")]
batch = from_numpy([(each.rows, each.placement, each.light) for each in scenes], "cpu")
poses = camera_to_world(np.float64([[60, 95], [50, 80]]), np.float64([0, 130]))
found = depths(batch, torch.from_numpy(poses), 16, 0.6).float().numpy()
assert found.shape == (2, 2, 16, 16, 2)
for scene, views, cameras in zip(scenes, found, poses, strict=True):
    for entry_and_exit, pose in zip(views, cameras, strict=True):
        hit = entry_and_exit[..., 0] < BEYOND
        assert 20 < hit.sum() < 200
        assert (entry_and_exit[~hit] == BEYOND).all()
        origins, directions = (each[hit] for each in rays(pose, 16))
        ahead = directions @ -pose[:3, 2]
        near, far = ((entry_and_exit[hit] * 0.6 + RADIUS) / ahead[:, None]).T
        distance = lambda t: scene.distance(origins + t[:, None] * directions)
        assert np.abs(distance(near)).max() < 6e-3  # half a count of 16 bits, and rays that only touch
        assert (far > near).all()
        deep = far - near > 0.03
        assert deep.mean() > 0.8
        assert np.abs(distance(far))[deep].max() < 8e-3
        for share in (0.25, 0.5, 0.75):
            assert (distance(near + share * (far - near))[deep] < 0).all()
"""
    )


@needs_triton
def test_points_of_supervision_lie_evenly_over_the_surface_inside_and_outside():
    """Of a hollow ball: the inside has a fifth of the area, and far less of the space around it."""
    interpreted(
        """
import numpy as np
import torch
from training import surface_loss
from training.render import from_numpy

rows = np.zeros((2, 32), np.float32)
rows[:, 1:4] = [[0.4], [0.2]]
rows[:, 9:18] = np.eye(3).ravel()
rows[1, 18] = 1  # carved out of the first
whole = np.float32([1, 0, 0, 0, 1, 0])
ball = from_numpy([(rows, whole, np.float32([0, 0, 1, 0.5]))], "cpu")
surface_loss.POINTS = 3072
torch.manual_seed(0)
points, distance, _, on_surface = surface_loss.draw_points(ball, 0.6)
assert points.shape == (1, 4096, 3)
assert on_surface.sum() > 1000
assert distance[:, :1024].abs().max() < 1e-3
radius = points[on_surface].norm(dim=-1)
assert 0.16 < (radius < 0.3).float().mean() < 0.24
"""
    )


@needs_triton
def test_a_camera_judged_too_high_is_the_camera_that_stands_higher(monkeypatch):
    from training import surface_loss

    monkeypatch.setattr(surface_loss, "JITTER", 0.0)
    elevations, azimuths = np.float64([[10, 30, -5], [0, 60, 20]]), np.float64([[0, 100, 220], [0, 30, 300]])
    error = np.float64([[4], [-7]])
    true, judged = (
        torch.from_numpy(camera.camera_to_world(90 - each, azimuths)) for each in (elevations, elevations + error)
    )
    delta = torch.from_numpy(np.radians(error[:, 0])).float()
    torch.testing.assert_close(surface_loss.misjudge(true, delta), judged, atol=1e-6, rtol=0)
    # what the input camera sees does not change where it is seen: the world turns with the camera
    point = torch.tensor([0.1, -0.2, 0.3])
    turned = surface_loss.turn(torch.tensor([-delta[0], 0, 0])) @ point
    before, after = (pose[0, 0, :3, :3].T @ (at - pose[0, 0, :3, 3]) for pose, at in ((true, point), (judged, turned)))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


@needs_triton
def test_turning_by_a_vector_is_its_matrix_exponential():
    from training.surface_loss import turn

    x, y, z = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    nought = torch.zeros(5)
    generator = torch.stack([nought, -z, y, z, nought, -x, -y, x, nought], -1).view(5, 3, 3)
    torch.testing.assert_close(turn(torch.stack([x, y, z], -1)), torch.linalg.matrix_exp(generator), atol=1e-5, rtol=0)
    assert torch.equal(turn(torch.zeros(3)), torch.eye(3))

"""The fused back-projection kernel of the surface network's training."""

from __future__ import annotations

import numpy as np
import torch

from backend.camera import camera_to_world
from backend.surface.network import SurfaceNetwork
from training import back_projection


def test_back_projection_in_one_pass_is_the_networks_own(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(back_projection, "VIEWS_WITH_GRAD", 2)
    monkeypatch.setattr(back_projection, "VOXELS", 256)  # the interpreter takes as long for more at once
    shape = {
        "image_size": 16,
        "features": 8,
        "depths": 4,
        "channels": [8, 16],
        "resolution": 6,
        "half_side": 0.6,
        "hidden": 8,
    }
    networks = SurfaceNetwork(**shape), back_projection.FusedSurfaceNetwork(**shape)
    networks[1].load_state_dict(networks[0].state_dict())
    images = torch.rand(2, 3, 4, 16, 16)
    cameras = torch.from_numpy(camera_to_world(np.float64([[60, 75, 90], [100, 20, 55]]), np.float64([10, 100, 220])))
    assert (cameras[..., 2, 3].min() < 0) and not torch.equal(cameras[0], cameras[1])
    maps = [network.extract_features(images) for network in networks]
    maps[0] = torch.cat([maps[0][:, :2], maps[0][:, 2:].detach()], 1)  # the third view has no gradient
    expected, found = (network.aggregate_views(own, cameras) for network, own in zip(networks, maps, strict=True))
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=1e-5)  # votes multiply sampling errors by 12
    assert (expected == 0).any()  # some voxels fall outside the frame
    direction = torch.randn_like(expected)
    for output in (expected, found):
        output.backward(direction)
    expected, found = (
        torch.cat([parameter.grad.flatten() for parameter in network.features.parameters()]) for network in networks
    )
    assert (found - expected).norm() < 1e-5 * expected.norm()

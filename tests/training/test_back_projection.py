"""The fused back-projection kernel of the surface network's training."""

from __future__ import annotations

import numpy as np
import torch

from backend.camera import camera_to_world
from backend.surface.network import SurfaceNetwork
from training import back_projection


def test_back_projection_in_one_pass_is_the_networks_own(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(back_projection, "LEARNING", 2)
    monkeypatch.setattr(back_projection, "CELLS", 256)  # the interpreter takes as long for more at once
    shape = {
        "image_size": 16,
        "features": 8,
        "depths": 4,
        "channels": [8, 16],
        "resolution": 8,
        "half_side": 0.6,
        "hidden": 8,
    }
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

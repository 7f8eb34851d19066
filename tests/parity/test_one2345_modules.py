"""The parts of One-2-3-45's reconstruction network, each against its definition or the original's own values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backend import camera
from backend.surface.one2345.batchnorm import ActivatedBatchNorm
from backend.surface.one2345.poses import IMAGE_SIZE, normalize
from backend.surface.one2345.sdf import SdfNetwork
from backend.surface.one2345.sparse import Kernel, SparseUNet, down_mask
from backend.surface.one2345.volume import RESOLUTION, aggregate, look_up, voxels
from tests.helpers.one2345 import INDEX, error, expected, stored


def known(name: str) -> torch.Tensor:
    return torch.from_numpy(expected(f"units.{name}"))


def rig(polar: float, turn: float = 0.0) -> np.ndarray:
    """The camera of a picture seen at ``polar`` degrees and the 32 source cameras, in the order of training."""
    stage_1 = (*camera.FIRST_RING, *camera.second_ring(polar))
    moves = [(0.0, 0.0), *((p + dp, a + da) for _, p, a in stage_1 for dp, da in camera.NEIGHBORS)]
    moves = np.array(moves)
    return camera.camera_to_world(polar + moves[:, 0], turn + moves[:, 1])


def dense(coords: torch.Tensor, rows: torch.Tensor, stride: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (P, C) at sites -> array (1, C, side, side, side) and mask."""
    array, mask = torch.zeros(1, rows.shape[1], side, side, side), torch.zeros(side, side, side, dtype=torch.bool)
    x, y, z = (coords.long() // stride).unbind(1)
    array[0, :, x, y, z] = rows.T
    mask[x, y, z] = True
    return array, mask


def kernel(name: str) -> Kernel:
    weights = known(f"{name}.kernel")
    made = Kernel(*weights.shape[1:])
    made.kernel.data = weights
    return made


@pytest.mark.parametrize("case", range(3))
@torch.no_grad()
def test_sparse_convolutions_are_the_originals(case):
    """A chain over three lattices, from random sets whose lowest coordinates are odd, and from a full cube."""
    coords = known(f"sparse.case{case}.in.coords")
    side = int(coords.max()) + 1
    x, mask = dense(coords, known(f"sparse.case{case}.in.feats"), 1, side)
    masks = [mask, down_mask(mask), down_mask(down_mask(mask))]

    def check(part: str, x: torch.Tensor, level: int) -> torch.Tensor:
        x = x * masks[level]
        name = f"sparse.case{case}.{part}"
        sites = known(f"{name}.coords").long()
        assert {tuple(each) for each in sites.tolist()} == {
            tuple(each) for each in (masks[level].nonzero() << level).tolist()
        }
        rows = x[0][:, *(sites >> level).unbind(1)].T
        assert error(f"units.{name}.feats", rows).max() < 1e-5
        return x

    names = {part: kernel(f"sparse.case{case}.{part}") for part in ("s1", "d1", "d2", "u2", "u1")}
    x = check("s1", names["s1"].same(x), 0)
    x = check("d1", names["d1"].down(x), 1)
    x = check("d2", names["d2"].down(x), 2)
    x = check("u2", names["u2"].up(x, masks[1].shape), 1)
    check("u1", names["u1"].up(x, masks[0].shape), 0)


def test_a_full_grid_grows_beyond_its_end():
    mask = torch.ones(96, 96, 96, dtype=torch.bool)
    for side in (49, 25, 13):
        mask = down_mask(mask)
        assert mask.shape == (side,) * 3
        assert mask.all()


def test_the_2d_normalization_is_the_originals():
    layer = ActivatedBatchNorm(6)
    layer.load_state_dict({name: known(f"abn.{name}") for name in ("weight", "bias", "running_mean", "running_var")})
    assert (layer.weight < 0).any()
    assert error("units.abn.y_batch_stats", layer(known("abn.x"))).max() < 1e-5
    assert error("units.abn.y_running_stats", layer.eval()(known("abn.x"))).max() < 1e-5
    assert layer.running_mean.equal(known("abn.running_mean"))


def test_every_unit_value_is_looked_at():
    parts = {name.split(".")[-1] for name in INDEX if name.startswith("units.")}
    assert parts == {"coords", "feats", "kernel", "x", "weight", "bias", "running_mean", "running_var"} | {
        "y_batch_stats",
        "y_running_stats",
    }


def test_normalization_over_many_values_is_exact():
    """PyTorch's own, on a CPU, loses its mean over this many values."""
    torch.manual_seed(0)
    maps = torch.rand(32, 2, 256, 256) ** 8 + torch.tensor([0.0, 3.0])[:, None, None]
    layer = ActivatedBatchNorm(2)
    layer.weight.data = torch.tensor([-2.0, 0.5])
    double = maps.double()
    centered = double - double.mean((0, 2, 3), keepdim=True)
    scale = (layer.weight.double().abs() + 1e-5)[:, None, None]
    wanted = F.leaky_relu(centered / (centered.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt() * scale, 0.01)
    torch.testing.assert_close(layer(maps).double(), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("polar", [25, 60, 75, 76, 100, 130])
def test_the_cube_holds_every_frustum(polar):
    """For either second ring: within the cube, and touching it where the margin is taken off."""
    cameras = rig(polar)
    frame = normalize(cameras)
    columns = np.array([0, IMAGE_SIZE])
    corners = []
    for pose in cameras.astype(np.float64):
        for column in columns:
            for row in columns:
                for depth in (0.5, 1.8):
                    local = [(column - 128) * depth / 280, (128 - row) * depth / 280, -depth]
                    corners.append(pose[:3, :3] @ local + pose[:3, 3])
    found = frame.from_world(np.array(corners))
    np.testing.assert_allclose(max(np.ptp(found, axis=0)), 2 / 1.1, atol=1e-5)
    np.testing.assert_allclose(found.max(0) + found.min(0), 0, atol=1e-5)
    assert 1.3 < frame.scale < 1.6
    assert np.abs(frame.from_world(np.zeros((1, 3)))).max() < 0.2


@pytest.mark.parametrize("polar", [40, 60, 95, 120])
def test_normalized_cameras_see_what_the_worlds_cameras_see(polar):
    cameras = rig(polar)
    frame = normalize(cameras)
    points = np.random.default_rng(polar).uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
    places = frame.from_world(points)
    np.testing.assert_allclose(frame.to_world(places), points, atol=1e-6)
    for pose, projection in zip(cameras[1:], frame.projections, strict=True):
        pixel, depth = camera.project(points, pose, IMAGE_SIZE)
        column, row, found, _ = projection @ np.concatenate([places, np.ones((200, 1))], 1).T
        np.testing.assert_allclose(found * frame.scale, depth, atol=1e-5)
        np.testing.assert_allclose(np.stack([column, row], 1) / found[:, None], pixel, atol=2e-3)


def test_turning_the_world_changes_nothing():
    """The reference calls the picture's direction 30 degrees, we call it 0."""
    ours, turned = normalize(rig(60)), normalize(rig(60, 30.0))
    assert ours.scale == pytest.approx(turned.scale, abs=3e-7)
    np.testing.assert_allclose(ours.world_to_camera, turned.world_to_camera, atol=5e-7)
    np.testing.assert_allclose(ours.projections, turned.projections, atol=2e-4)
    assert np.abs(ours.reference - turned.reference).max() > 0.2


def test_the_rig_of_the_data_is_ours():
    found = normalize(rig(60, 30.0)).projections
    np.testing.assert_allclose(found, stored("inputs")["norm.affine_mats"], atol=2e-4)


def test_a_look_up_is_trilinear_with_its_own_border():
    torch.manual_seed(1)
    volume = torch.randn(2, 6, 6, 6)
    points = torch.rand(500, 3) * 2 - 1
    inside = F.grid_sample(volume[None], points.flip(1)[None, None, None], align_corners=True)[0, :, 0, 0].T
    torch.testing.assert_close(look_up(volume, points), inside, atol=1e-5, rtol=1e-5)
    faces = torch.tensor([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0001], [1.4001, 0, 0], [0, 0, 2.0], [-1e6, 0, 1e6]])
    assert (look_up(volume, faces) == 0).all()
    beyond = look_up(volume, torch.tensor([[1.0, 0.3, -0.2], [1.39, 0.3, -0.2]]))
    torch.testing.assert_close(beyond[0], beyond[1])
    assert (beyond != 0).all()


def test_a_slope_is_the_distances_own():
    torch.manual_seed(2)
    network, volume = SdfNetwork().double(), torch.randn(16, 8, 8, 8, dtype=torch.float64)
    for each in network.parameters():
        each.requires_grad_(False)
    points = torch.rand(50, 3, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        value, slope = network.gradient(volume, points)
        torch.testing.assert_close(value, network.distance(volume, points))
        for axis in range(3):
            step = torch.zeros(3, dtype=torch.float64)
            step[axis] = 1e-6
            rise = network.distance(volume, points + step) - network.distance(volume, points - step)
            torch.testing.assert_close(slope[:, axis], rise[:, 0] / 2e-6, rtol=1e-4, atol=1e-4)


def test_voxels_pool_what_the_views_show_at_their_pixels():
    """A constant map per view: the mean and the variance are those of the views that see a voxel, and only of these in
    the middle of the cube, where no camera has a voxel behind it."""
    frame = normalize(rig(100))
    values = torch.linspace(-1, 1, 32)
    pooled, mask = aggregate(values[:, None, None, None].expand(-1, 1, 256, 256), torch.from_numpy(frame.projections))
    assert pooled.shape == (1, 2, *[RESOLUTION] * 3)
    assert 0.6 < mask.float().mean() < 0.95
    middle = pooled[0, :, 47, 47, 47]
    torch.testing.assert_close(
        middle, torch.stack([values.square().mean() - values.mean() ** 2, values.mean()]), atol=1e-5, rtol=0
    )
    assert (pooled[:, :, ~mask] == 0).all()
    places = voxels("cpu")
    assert places.abs().max() == 1
    assert (places[1] - places[0])[2] == pytest.approx(2 / 95, abs=1e-6)


def test_the_u_net_leaves_other_places_empty_and_needs_its_sites():
    torch.manual_seed(3)
    mask = torch.rand(20, 20, 20) < 0.6
    x = torch.randn(1, 32, 20, 20, 20) * mask
    with torch.no_grad():
        found = SparseUNet()(x, mask)
    assert found.shape == (1, 16, 20, 20, 20)
    assert (found[:, :, ~mask] == 0).all()
    assert (found >= 0).all()
    assert found[:, :, mask].std() > 0.1

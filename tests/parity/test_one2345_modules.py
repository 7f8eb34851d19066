"""The modules of One-2-3-45's reconstruction network, against their definitions or the original's own values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backend import camera
from backend.surface.one2345.batchnorm import ActivatedBatchNorm
from backend.surface.one2345.poses import IMAGE_SIZE, normalize
from backend.surface.one2345.sdf import SdfNetwork
from backend.surface.one2345.sparse import SparseConv3d, SparseUNet, down_mask
from backend.surface.one2345.volume import RESOLUTION, aggregate_views, interpolate, voxel_centers
from tests.helpers.one2345 import INDEX, error, expected, stored


def stored_unit(name: str) -> torch.Tensor:
    return torch.from_numpy(expected(f"units.{name}"))


def training_cameras(polar: float, azimuth: float = 0.0) -> np.ndarray:
    """The input camera at ``polar`` degrees and the 32 source cameras, in training order."""
    stage_1 = (*camera.FIRST_RING, *camera.second_ring(polar))
    offsets = [(0.0, 0.0), *((p + dp, a + da) for _, p, a in stage_1 for dp, da in camera.NEIGHBORS)]
    offsets = np.array(offsets)
    return camera.camera_to_world(polar + offsets[:, 0], azimuth + offsets[:, 1])


def dense(coords: torch.Tensor, rows: torch.Tensor, stride: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (P, C) at sites (P, 3) -> array (1, C, side, side, side) and mask of the sites."""
    array, mask = torch.zeros(1, rows.shape[1], side, side, side), torch.zeros(side, side, side, dtype=torch.bool)
    x, y, z = (coords.long() // stride).unbind(1)
    array[0, :, x, y, z] = rows.T
    mask[x, y, z] = True
    return array, mask


def sparse_convolution(name: str) -> SparseConv3d:
    weights = stored_unit(f"{name}.kernel")
    convolution = SparseConv3d(*weights.shape[1:])
    convolution.kernel.data = weights
    return convolution


@pytest.mark.parametrize("case", range(3))
@torch.no_grad()
def test_sparse_convolutions_match_the_original(case):
    """A chain over three resolutions, of random sites whose lowest coordinates are odd, and of a full cube."""
    coords = stored_unit(f"sparse.case{case}.in.coords")
    side = int(coords.max()) + 1
    x, mask = dense(coords, stored_unit(f"sparse.case{case}.in.feats"), 1, side)
    masks = [mask, down_mask(mask), down_mask(down_mask(mask))]

    def check(layer: str, x: torch.Tensor, level: int) -> torch.Tensor:
        x = x * masks[level]
        name = f"sparse.case{case}.{layer}"
        sites = stored_unit(f"{name}.coords").long()
        assert {tuple(site) for site in sites.tolist()} == {
            tuple(site) for site in (masks[level].nonzero() << level).tolist()
        }
        rows = x[0][:, *(sites >> level).unbind(1)].T
        assert error(f"units.{name}.feats", rows).max() < 1e-5
        return x

    layers = {layer: sparse_convolution(f"sparse.case{case}.{layer}") for layer in ("s1", "d1", "d2", "u2", "u1")}
    x = check("s1", layers["s1"].same(x), 0)
    x = check("d1", layers["d1"].down(x), 1)
    x = check("d2", layers["d2"].down(x), 2)
    x = check("u2", layers["u2"].up(x, masks[1].shape), 1)
    check("u1", layers["u1"].up(x, masks[0].shape), 0)


def test_sites_grow_beyond_the_end_of_a_full_grid():
    mask = torch.ones(96, 96, 96, dtype=torch.bool)
    for side in (49, 25, 13):
        mask = down_mask(mask)
        assert mask.shape == (side,) * 3
        assert mask.all()


def test_activated_batch_norm_matches_the_original():
    layer = ActivatedBatchNorm(6)
    layer.load_state_dict(
        {name: stored_unit(f"abn.{name}") for name in ("weight", "bias", "running_mean", "running_var")}
    )
    assert (layer.weight < 0).any()
    assert error("units.abn.y_batch_stats", layer(stored_unit("abn.x"))).max() < 1e-5
    assert error("units.abn.y_running_stats", layer.eval()(stored_unit("abn.x"))).max() < 1e-5
    assert layer.running_mean.equal(stored_unit("abn.running_mean"))


def test_stored_units_are_all_compared():
    kinds = {name.split(".")[-1] for name in INDEX if name.startswith("units.")}
    assert kinds == {"coords", "feats", "kernel", "x", "weight", "bias", "running_mean", "running_var"} | {
        "y_batch_stats",
        "y_running_stats",
    }


def test_activated_batch_norm_is_exact_over_many_values():
    """PyTorch's own, on a CPU, loses precision in the mean over this many values."""
    torch.manual_seed(0)
    maps = torch.rand(32, 2, 256, 256) ** 8 + torch.tensor([0.0, 3.0])[:, None, None]
    layer = ActivatedBatchNorm(2)
    layer.weight.data = torch.tensor([-2.0, 0.5])
    double = maps.double()
    centered = double - double.mean((0, 2, 3), keepdim=True)
    scale = (layer.weight.double().abs() + 1e-5)[:, None, None]
    target = F.leaky_relu(centered / (centered.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt() * scale, 0.01)
    torch.testing.assert_close(layer(maps).double(), target, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("polar", [25, 60, 75, 76, 100, 130])
def test_cube_contains_every_frustum(polar):
    """For either second ring: inside the cube, and touching it when the margin is removed."""
    cameras = training_cameras(polar)
    frame = normalize(cameras)
    columns = np.array([0, IMAGE_SIZE])
    corners = []
    for pose in cameras.astype(np.float64):
        for column in columns:
            for row in columns:
                for depth in (0.5, 1.8):
                    local = [(column - 128) * depth / 280, (128 - row) * depth / 280, -depth]
                    corners.append(pose[:3, :3] @ local + pose[:3, 3])
    normalized = frame.from_world(np.array(corners))
    np.testing.assert_allclose(max(np.ptp(normalized, axis=0)), 2 / 1.1, atol=1e-5)
    np.testing.assert_allclose(normalized.max(0) + normalized.min(0), 0, atol=1e-5)
    assert 1.3 < frame.scale < 1.6
    assert np.abs(frame.from_world(np.zeros((1, 3)))).max() < 0.2


@pytest.mark.parametrize("polar", [40, 60, 95, 120])
def test_projections_agree_with_the_world_cameras(polar):
    cameras = training_cameras(polar)
    frame = normalize(cameras)
    points = np.random.default_rng(polar).uniform(-0.5, 0.5, (200, 3)).astype(np.float32)
    normalized = frame.from_world(points)
    np.testing.assert_allclose(frame.to_world(normalized), points, atol=1e-6)
    for pose, projection in zip(cameras[1:], frame.projections, strict=True):
        pixel, depth = camera.project(points, pose, IMAGE_SIZE)
        column, row, scaled_depth, _ = projection @ np.concatenate([normalized, np.ones((200, 1))], 1).T
        np.testing.assert_allclose(scaled_depth * frame.scale, depth, atol=1e-5)
        np.testing.assert_allclose(np.stack([column, row], 1) / scaled_depth[:, None], pixel, atol=2e-3)


def test_normalization_ignores_rotations_of_the_world():
    """The reference implementation's input camera has azimuth 30 degrees, ours 0."""
    ours, rotated = normalize(training_cameras(60)), normalize(training_cameras(60, 30.0))
    assert ours.scale == pytest.approx(rotated.scale, abs=3e-7)
    np.testing.assert_allclose(ours.world_to_camera, rotated.world_to_camera, atol=5e-7)
    np.testing.assert_allclose(ours.projections, rotated.projections, atol=2e-4)
    assert np.abs(ours.reference_to_world - rotated.reference_to_world).max() > 0.2


def test_stored_cameras_are_ours():
    projections = normalize(training_cameras(60, 30.0)).projections
    np.testing.assert_allclose(projections, stored("inputs")["norm.affine_mats"], atol=2e-4)


def test_interpolation_is_trilinear_with_its_own_border():
    torch.manual_seed(1)
    volume = torch.randn(2, 6, 6, 6)
    points = torch.rand(500, 3) * 2 - 1
    inside = F.grid_sample(volume[None], points.flip(1)[None, None, None], align_corners=True)[0, :, 0, 0].T
    torch.testing.assert_close(interpolate(volume, points), inside, atol=1e-5, rtol=1e-5)
    faces = torch.tensor([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, -1.0001], [1.4001, 0, 0], [0, 0, 2.0], [-1e6, 0, 1e6]])
    assert (interpolate(volume, faces) == 0).all()
    beyond = interpolate(volume, torch.tensor([[1.0, 0.3, -0.2], [1.39, 0.3, -0.2]]))
    torch.testing.assert_close(beyond[0], beyond[1])
    assert (beyond != 0).all()


def test_gradient_is_that_of_the_distance():
    torch.manual_seed(2)
    network, volume = SdfNetwork().double(), torch.randn(16, 8, 8, 8, dtype=torch.float64)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    points = torch.rand(50, 3, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        value, gradient = network.gradient(volume, points)
        torch.testing.assert_close(value, network.distance(volume, points))
        for axis in range(3):
            step = torch.zeros(3, dtype=torch.float64)
            step[axis] = 1e-6
            difference = network.distance(volume, points + step) - network.distance(volume, points - step)
            torch.testing.assert_close(gradient[:, axis], difference[:, 0] / 2e-6, rtol=1e-4, atol=1e-4)


def test_aggregation_is_the_mean_and_variance_of_the_views():
    """One constant map per view: in the middle of the cube, where no voxel is behind a camera, mean and variance are
    those of the views that see the voxel."""
    frame = normalize(training_cameras(100))
    values = torch.linspace(-1, 1, 32)
    aggregated, mask = aggregate_views(
        values[:, None, None, None].expand(-1, 1, 256, 256), torch.from_numpy(frame.projections)
    )
    assert aggregated.shape == (1, 2, *[RESOLUTION] * 3)
    assert 0.6 < mask.float().mean() < 0.95
    middle = aggregated[0, :, 47, 47, 47]
    torch.testing.assert_close(
        middle, torch.stack([values.square().mean() - values.mean() ** 2, values.mean()]), atol=1e-5, rtol=0
    )
    assert (aggregated[:, :, ~mask] == 0).all()
    centers = voxel_centers("cpu")
    assert centers.abs().max() == 1
    assert (centers[1] - centers[0])[2] == pytest.approx(2 / 95, abs=1e-6)


def test_sparse_unet_is_zero_outside_its_sites():
    torch.manual_seed(3)
    mask = torch.rand(20, 20, 20) < 0.6
    x = torch.randn(1, 32, 20, 20, 20) * mask
    with torch.no_grad():
        features = SparseUNet()(x, mask)
    assert features.shape == (1, 16, 20, 20, 20)
    assert (features[:, :, ~mask] == 0).all()
    assert (features >= 0).all()
    assert features[:, :, mask].std() > 0.1

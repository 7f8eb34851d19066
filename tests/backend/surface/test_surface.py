"""Views -> field: where back-projection samples, what a field returns, and how good the shipped network is."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from backend import camera, meshing
from backend.data_types import Views
from backend.errors import ErrorCode, UserError
from backend.io.tensors import read_tensors, write_tensors
from backend.paths import STARTER_WEIGHTS
from backend.surface import SurfaceNetwork, VolumeField, field_from_tensors, load
from backend.surface.network import load as load_exactly
from backend.surface.silhouette_constraint import SilhouetteConstraint
from backend.surface.trilinear import TrilinearTable
from benchmark.baselines import single_color
from benchmark.ground_truth import GroundTruth, composite_on_white
from benchmark.shapes import ProceduralShape
from procedural.scene import load_held_out
from tests.helpers.tiny import SURFACE


def ring_cameras(polar: float) -> np.ndarray:
    """The input camera and those of the eight views around it: (9, 4, 4)."""
    offsets = np.array([(0.0, 0.0), *(view[1:] for view in (*camera.FIRST_RING, *camera.second_ring(polar)))])
    return camera.camera_to_world(polar + offsets[:, 0], offsets[:, 1])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return SurfaceNetwork(**SURFACE).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def views():
    random = np.random.default_rng(0)
    images = random.random((9, 32, 32, 3), np.float32)
    return Views(images, random.random((9, 32, 32), np.float32), ring_cameras(70), tuple(map(str, range(9))))


@pytest.fixture(scope="module")
def field(network, views):
    return network.reconstruct(views)


def aggregated(network, views: Views) -> torch.Tensor:
    """The aggregated features (channels, R, R, R)."""
    images = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).permute(0, 3, 1, 2)
    return network.aggregate_views(
        network.extract_features(images[None]), torch.from_numpy(views.camera_to_world)[None]
    )[0]


def bilinear(plane: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear samples, zero outside: plane (C, S, S) at pixel coordinates (P, 2) -> (P, C)."""
    size = plane.shape[-1]
    column, row = pixels.T - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    total = np.zeros((len(pixels), len(plane)))
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - x - (column - left)) * np.abs(1 - y - (row - top))
        inside = (left + x >= 0) & (left + x < size) & (top + y >= 0) & (top + y < size)
        values = plane[:, (top + y).clip(0, size - 1), (left + x).clip(0, size - 1)].T
        total += (weight * inside)[:, None] * values
    return total


def test_aggregation_samples_where_the_cameras_project(network, views):
    volume = aggregated(network, views).flatten(1).T.numpy()
    centers = network.voxel_centers("cpu")
    images = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).permute(0, 3, 1, 2)
    maps = network.extract_features(images[None])[0].numpy()
    np.testing.assert_array_equal(maps[:, -1], 1 - views.masks)
    projected = [camera.project(centers.numpy(), pose, 32) for pose in views.camera_to_world]
    sampled = np.stack([bilinear(plane, pixels) for plane, (pixels, _) in zip(maps, projected, strict=True)])
    for view, (pixels, depth) in zip(sampled, projected, strict=True):  # depth features become votes
        in_front = (view[:, -3:-1] - (depth[:, None] - camera.RADIUS) / 0.6) * [4, 12]
        view[:, -3:-1] = np.tanh(in_front) * ((pixels >= 0) & (pixels <= 32)).all(1)[:, None]
    width = maps.shape[1]
    mean, variance, first, largest, position = np.split(volume, np.cumsum([width, width, width, 3]), 1)
    np.testing.assert_allclose(mean, sampled.mean(0), atol=1e-4)
    np.testing.assert_allclose(variance, sampled.var(0), atol=1e-4)
    np.testing.assert_allclose(first, sampled[0], atol=1e-4)
    np.testing.assert_allclose(largest, sampled[..., -3:].max(0), atol=1e-4)
    np.testing.assert_allclose(position, centers / 0.6, atol=1e-6)


@pytest.mark.parametrize("index", [(3, 8, 5), (9, 4, 12), (8, 8, 8)])
def test_dot_in_every_view_is_located(network, index):
    side, cameras = SURFACE["resolution"], ring_cameras(70)
    point = network.voxel_centers("cpu").view(side, side, side, 3)[index].numpy()
    steps = np.arange(128) + 0.5
    masks = np.zeros((9, 128, 128), np.float32)
    for mask, pose in zip(masks, cameras, strict=True):
        (column, row), _ = (array[0] for array in camera.project(point[None], pose, 128))
        mask[np.hypot(steps - column, steps[:, None] - row) < 5] = 1
    assert all(mask.any() for mask in masks)
    images = np.ones((9, 128, 128, 3), np.float32)
    volume = aggregated(network, Views(images, masks, cameras, tuple(map(str, range(9)))))
    background = volume[-4]
    assert background[index] < 0.01
    voxels = (background < 0.5).nonzero().numpy()
    assert len(voxels) <= 7
    assert np.abs(voxels - index).max() <= 1


def test_view_contributes_nothing_outside_its_frame(network, views):
    centers = network.voxel_centers("cpu").numpy()
    pixels, _ = camera.project(centers, views.camera_to_world[0], 32)
    outside = ((pixels < -1) | (pixels > 33)).any(1)
    assert outside.sum() > 50
    alone = Views(views.images[:1], views.masks[:1], views.camera_to_world[:1], ("input",))
    volume = aggregated(network, alone).flatten(1)[:-3]
    assert (volume[:, torch.from_numpy(outside)] == 0).all()
    assert (volume[:, torch.from_numpy(~outside)] != 0).any(0).float().mean() > 0.9


def test_views_after_the_first_have_no_order(network, views):
    def volume(order):
        order = list(order)
        shuffled = Views(views.images[order], views.masks[order], views.camera_to_world[order], views.names)
        return network.reconstruct(shuffled).volumes[0]

    original = volume(range(9))
    np.testing.assert_allclose(volume([0, 8, 3, 5, 1, 2, 7, 4, 6]), original, atol=1e-3)
    assert (volume([1, 0, *range(2, 9)]) - original).abs().max() > 1e-2


def test_views_are_resized(network, views, field):
    large = F.interpolate(torch.from_numpy(views.images).permute(0, 3, 1, 2), scale_factor=2, mode="nearest")
    masks = views.masks.repeat(2, 1).repeat(2, 2)
    doubled = Views(large.permute(0, 2, 3, 1).numpy(), masks, views.camera_to_world, views.names)
    assert network.reconstruct(doubled).volumes.shape == field.volumes.shape


@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_field_takes_any_number_of_points(field, count):
    points = np.random.default_rng(1).uniform(-0.6, 0.6, (count, 3)).astype(np.float32)
    distance, color = field.distance(points), field.color(points)
    assert distance.shape == (count,)
    assert color.shape == (count, 3)
    assert distance.dtype == color.dtype == np.float32
    assert np.isfinite(distance).all()
    assert ((color >= 0) & (color <= 1)).all()
    if count:  # the same in any block
        np.testing.assert_allclose(field.distance(points[-1:]), distance[-1:], atol=1e-6)
        np.testing.assert_allclose(field.color(points[-1:]), color[-1:], atol=1e-6)


def test_field_interpolates_between_voxel_centers(network, field):
    """At a voxel's center the perceptron's input is that voxel alone, x slowest."""
    side = SURFACE["resolution"]
    centers = network.voxel_centers("cpu")
    inputs = torch.cat([field.volumes[0].flatten(1).T, centers / 0.6], 1)
    expected = network.decoder.layers(inputs)[:, 0] * 0.1
    assert inputs.shape == (side**3, SURFACE["channels"][0] + 3)
    unconstrained = VolumeField(field.volumes, field.decoder, field.half_side)
    np.testing.assert_allclose(unconstrained.distance(centers.numpy()), expected, atol=1e-5)


def test_trilinear_table_reads_what_grid_sample_reads():
    volumes = torch.randn(3, 5, 7, 7, 7, generator=torch.Generator().manual_seed(0))
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(1)) * 2.4 - 1.2  # also outside
    points[:8] = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)))
    grid = points.flip(-1)[None, :, None, None].expand(3, -1, -1, -1, -1)
    sampled = torch.nn.functional.grid_sample(volumes, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(TrilinearTable(volumes)(points), sampled[..., 0, 0].mT, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [{"volume": (2, 32, 8, 8, 6)}, {"volume": (8, 8, 8)}, {"volume": (1, 32, 1, 1, 1)}, {"half_side": math.nan}],
    ids=str,
)
def test_field_of_other_shapes_or_without_a_size_is_told(field, wrong, tmp_path):
    tensors = field.tensors()
    for name, value in wrong.items():
        tensors[name] = torch.tensor(value) if isinstance(value, float) else torch.zeros(value)
    with pytest.raises(UserError, match=r"does not contain a field") as caught:
        field_from_tensors(tensors, tmp_path / "field.safetensors")
    assert caught.value.code is ErrorCode.BROKEN_FIELD


def test_field_round_trips_through_its_file(field, tmp_path):
    path = tmp_path / "field.safetensors"
    save_file(field.tensors(), path)
    loaded = field_from_tensors(read_tensors(path), path)
    points = np.random.default_rng(2).uniform(-0.6, 0.6, (5000, 3)).astype(np.float32)
    assert loaded.half_side == pytest.approx(0.6)
    assert np.ptp(field.distance(points)) > 1e-3
    np.testing.assert_allclose(loaded.distance(points), field.distance(points), atol=2e-4)
    np.testing.assert_allclose(loaded.color(points), field.color(points), atol=2e-3)


@pytest.mark.parametrize("number", [1, 3])
def test_other_opinions_are_averaged_and_saved(network, views, field, tmp_path, number):
    others = [replace(views, images=np.roll(views.images[:, ::-1], 4 * shift, 2)) for shift in range(number)]
    both = network.reconstruct(views, False, others)
    points = np.random.default_rng(3).uniform(-0.6, 0.6, (5000, 3)).astype(np.float32)
    alone = [network.reconstruct(each, False) for each in (views, *others)]
    assert np.abs(alone[0].distance(points) - alone[-1].distance(points)).max() > 1e-3
    np.testing.assert_allclose(both.distance(points), np.mean([f.distance(points) for f in alone], 0), atol=1e-6)
    np.testing.assert_allclose(both.color(points), np.mean([f.color(points) for f in alone], 0), atol=1e-6)
    path = tmp_path / "field.safetensors"
    save_file(both.tensors(), path)
    np.testing.assert_allclose(
        field_from_tensors(read_tensors(path), path).distance(points), both.distance(points), atol=2e-4
    )


def test_a_field_of_an_earlier_version_can_be_read(field, tmp_path):
    path = tmp_path / "field.safetensors"
    save_file({**field.tensors(), "volume": field.tensors()["volume"][0].contiguous()}, path)
    points = np.random.default_rng(4).uniform(-0.6, 0.6, (100, 3)).astype(np.float32)
    loaded = field_from_tensors(read_tensors(path), path)
    np.testing.assert_allclose(loaded.distance(points), field.distance(points), atol=2e-4)


def test_field_file_without_a_field_is_refused(field, tmp_path):
    path = tmp_path / "field.safetensors"
    with pytest.raises(UserError, match="missing"):
        field_from_tensors(read_tensors(path), path)
    for missing in ("volume", "half_side", "decoder.layers.0.weight", "decoder.layers.4.bias"):
        save_file({name: tensor for name, tensor in field.tensors().items() if name != missing}, path)
        with pytest.raises(UserError) as caught:
            field_from_tensors(read_tensors(path), path)
        assert caught.value.code == "broken_field", missing
    for volume in (torch.zeros(5, 4, 4, 4), torch.tensor(1.0)):
        save_file({**field.tensors(), "volume": volume}, path)
        with pytest.raises(UserError) as caught:
            field_from_tensors(read_tensors(path), path)
        assert caught.value.code == "broken_field"
    save_file(field.tensors(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError) as caught:
        field_from_tensors(read_tensors(path), path)
    assert caught.value.code == "weights_broken"


def write_folder(network, folder):
    write_tensors(folder / "model.safetensors", network.state_dict(), quantize=False)
    (folder / "config.json").write_text(json.dumps(SURFACE))
    return folder


def test_network_round_trips_through_its_folder(network, views, field, tmp_path):
    loaded = load_exactly(write_folder(network, tmp_path))
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    torch.testing.assert_close(loaded.reconstruct(views).volumes, field.volumes)


def damage_truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def damage_no_weights(folder):
    (folder / "model.safetensors").unlink()


def damage_no_config(folder):
    (folder / "config.json").unlink()


def damage_not_json(folder):
    (folder / "config.json").write_text("{")


def damage_binary_config(folder):
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")


def damage_other_sizes(folder):
    (folder / "config.json").write_text(json.dumps({**SURFACE, "hidden": 16}))


def damage_unknown_keys(folder):
    (folder / "config.json").write_text(json.dumps({"width": 3}))


def damage_a_list(folder):
    (folder / "config.json").write_text("[]")


def damage_one_level(folder):
    (folder / "config.json").write_text(json.dumps({**SURFACE, "channels": [8]}))


def damage_a_negative_width(folder):
    (folder / "config.json").write_text(json.dumps({**SURFACE, "features": -8}))


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_folder_is_reported(network, tmp_path, damage):
    damage(write_folder(network, tmp_path))
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert caught.value.code in ("weights_missing", "weights_broken")
    assert "install" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_shipped_network_reconstructs_a_held_out_scene_in_32_and_16_bits():
    torch.set_num_threads(1)
    scene = next(scene for scene in load_held_out() if scene.name == "teapot-0")
    truth = GroundTruth(ProceduralShape(scene, 128))
    cameras = ring_cameras(90 - scene.elevation)
    pictures = truth.render(cameras, 128)
    images = np.stack([composite_on_white(picture) for picture in pictures]).astype(np.float32)
    views = Views(images, pictures[..., 3].astype(np.float32), cameras, tuple(map(str, range(9))))
    exact, fast = (load_exactly(STARTER_WEIGHTS / "surface") for _ in range(2))
    fast.use_bfloat16()
    field, fast_field = exact.reconstruct(views), fast.reconstruct(views)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (50_000, 3)).astype(np.float32)
    points = points[np.abs(field.distance(points)) < 0.05]
    error = np.abs(fast_field.distance(points) - field.distance(points))
    assert 0 < error.mean() < 3e-4 and np.percentile(error, 99) < 3e-3  # 7e-5 and 5e-4
    assert np.abs(fast_field.color(points) - field.color(points)).mean() < 5e-3  # 0.001
    scores = truth.reference.compare(single_color(meshing.extract(field, 96, 20_000), np.full(3, 0.5)))
    assert scores["f05"] > 0.99  # 1.000 when the weights were made
    assert scores["f02"] > 0.97  # 0.995
    assert scores["normal_consistency"] > 0.96  # 0.981
    on_surface = truth.shape.mesh.vertices[::20]
    assert np.abs(field.distance(on_surface)).mean() < 0.004  # 0.0017


def _ball(points: np.ndarray) -> np.ndarray:
    return (np.linalg.norm(points, axis=-1) - 0.3).astype(np.float32)


def test_silhouette_constraint_changes_nothing_where_it_is_met():
    """A ball and its own silhouette: nothing is lowered, and what is raised is outside already."""
    pose = camera.camera_to_world(70.0, 0.0)
    origins, directions = camera.rays(pose, 64)
    ray_distance = np.linalg.norm(np.cross(origins, directions), axis=-1)
    constraint = SilhouetteConstraint.from_mask((ray_distance < 0.3).astype(np.float32), pose, _ball, 0.6)
    assert constraint.offset.max() < 0.03  # on the rim, where pixels are half covered
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (5000, 3)).astype(np.float32)
    off_surface = np.abs(_ball(points)) > 0.03
    assert (np.sign(constraint.apply(points, _ball(points)))[off_surface] == np.sign(_ball(points))[off_surface]).all()


def test_silhouette_constraint_adds_and_removes_material():
    """A field that is a ball, and an image that shows only a thin upright pole through its center."""
    pose = camera.camera_to_world(90.0, 0.0)
    mask = np.zeros((128, 128), np.float32)
    mask[20:108, 60:68] = 1
    constraint = SilhouetteConstraint.from_mask(mask, pose, _ball, 0.6)
    steps = np.linspace(0.7, 1.7, 101)[:, None]  # the camera's ray through a point above the ball
    above = (pose[:3, 3] + steps * (np.array([0, 0, 0.33]) - pose[:3, 3])).astype(np.float32)
    beside = np.array([[0.2, 0, 0]], np.float32)
    inside = steps[constraint.apply(above, _ball(above)) < 0, 0]
    assert _ball(above).min() > 0
    assert 0.02 < np.ptp(inside) < 0.15 and 0.85 < inside.mean() < 1.0  # a pole over the ball, not a rod to the camera
    assert _ball(beside) < 0 < constraint.apply(beside, _ball(beside))
    rebuilt = SilhouetteConstraint.from_tensors(constraint.tensors())
    assert np.array_equal(rebuilt.apply(above, _ball(above)), constraint.apply(above, _ball(above)))

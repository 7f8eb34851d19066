"""Views -> field: where back-projection looks, what a field answers, and what the shipped network is worth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from backend import camera, meshing
from backend.errors import UserError
from backend.io.tensors import read_tensors, write_tensors
from backend.paths import STARTER_WEIGHTS
from backend.surface import SurfaceNetwork, VolumeField, field_from_tensors, load
from backend.surface.silhouette_constraint import Outline
from backend.types import Views
from benchmark.ground_truth import Truth, on_white
from procedural.scene import load_held_out

CONFIG = {
    "image_size": 32,
    "features": 8,
    "depths": 2,
    "channels": [8, 16],
    "resolution": 16,
    "half_side": 0.6,
    "hidden": 32,
}


def ring_poses(polar: float) -> np.ndarray:
    """The input's camera and those of the eight views around it."""
    moves = [(0.0, 0.0), *(move[1:] for move in (*camera.FIRST_RING, *camera.second_ring(polar)))]
    changes = np.array(moves)
    return camera.camera_to_world(polar + changes[:, 0], changes[:, 1])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return SurfaceNetwork(**CONFIG).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def views():
    random = np.random.default_rng(0)
    images = random.random((9, 32, 32, 3), np.float32)
    return Views(images, random.random((9, 32, 32), np.float32), ring_poses(70), tuple(map(str, range(9))))


@pytest.fixture(scope="module")
def field(network, views):
    return network.reconstruct(views)


def pooled(network, views: Views) -> torch.Tensor:
    """(channels, R, R, R)."""
    pictures = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).permute(0, 3, 1, 2)
    return network.aggregate_views(
        network.extract_features(pictures[None]), torch.from_numpy(views.camera_to_world)[None]
    )[0]


def looked_up(plane: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear look-up, black outside: plane (C, S, S) at pixel coordinates (P, 2) -> (P, C)."""
    size = plane.shape[-1]
    column, row = pixels.T - 0.5
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    total = np.zeros((len(pixels), len(plane)))
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = np.abs(1 - x - (column - left)) * np.abs(1 - y - (row - top))
        within = (left + x >= 0) & (left + x < size) & (top + y >= 0) & (top + y < size)
        found = plane[:, (top + y).clip(0, size - 1), (left + x).clip(0, size - 1)].T
        total += (share * within)[:, None] * found
    return total


def test_every_cell_sees_the_pixels_that_the_camera_says(network, views):
    volume = pooled(network, views).flatten(1).T.numpy()
    cells = network.voxel_centers("cpu")
    pictures = torch.from_numpy(np.concatenate([views.images, views.masks[..., None]], -1)).permute(0, 3, 1, 2)
    maps = network.extract_features(pictures[None])[0].numpy()
    np.testing.assert_array_equal(maps[:, -1], 1 - views.masks)
    places = [camera.project(cells.numpy(), pose, 32) for pose in views.camera_to_world]
    seen = np.stack([looked_up(plane, pixels) for plane, (pixels, _) in zip(maps, places, strict=True)])
    for view, (pixels, depth) in zip(seen, places, strict=True):  # of the depth features, before or behind
        before = (view[:, -3:-1] - (depth[:, None] - camera.RADIUS) / 0.6) * [4, 12]
        view[:, -3:-1] = np.tanh(before) * ((pixels >= 0) & (pixels <= 32)).all(1)[:, None]
    width = maps.shape[1]
    parts = np.split(volume, np.cumsum([width, width, width, 3]), 1)
    np.testing.assert_allclose(parts[0], seen.mean(0), atol=1e-4)
    np.testing.assert_allclose(parts[1], seen.var(0), atol=1e-4)
    np.testing.assert_allclose(parts[2], seen[0], atol=1e-4)
    np.testing.assert_allclose(parts[3], seen[..., -3:].max(0), atol=1e-4)
    np.testing.assert_allclose(parts[4], cells / 0.6, atol=1e-6)


@pytest.mark.parametrize("index", [(3, 8, 5), (9, 4, 12), (8, 8, 8)])
def test_a_dot_painted_in_every_view_is_found_at_its_place(network, index):
    side, poses = CONFIG["resolution"], ring_poses(70)
    point = network.voxel_centers("cpu").view(side, side, side, 3)[index].numpy()
    steps = np.arange(128) + 0.5
    masks = np.zeros((9, 128, 128), np.float32)
    for mask, pose in zip(masks, poses, strict=True):
        (column, row), _ = (part[0] for part in camera.project(point[None], pose, 128))
        mask[np.hypot(steps - column, steps[:, None] - row) < 5] = 1
    assert all(mask.any() for mask in masks)
    images = np.ones((9, 128, 128, 3), np.float32)
    volume = pooled(network, Views(images, masks, poses, tuple(map(str, range(9)))))
    background = volume[-4]
    assert background[index] < 0.01
    kept = (background < 0.5).nonzero().numpy()
    assert len(kept) <= 7
    assert np.abs(kept - index).max() <= 1


def test_a_view_says_nothing_outside_its_frame(network, views):
    point = network.voxel_centers("cpu").numpy()
    pixels, _ = camera.project(point, views.camera_to_world[0], 32)
    outside = ((pixels < -1) | (pixels > 33)).any(1)
    assert outside.sum() > 50
    alone = Views(views.images[:1], views.masks[:1], views.camera_to_world[:1], ("input",))
    volume = pooled(network, alone).flatten(1)[:-3]
    assert (volume[:, torch.from_numpy(outside)] == 0).all()
    assert (volume[:, torch.from_numpy(~outside)] != 0).any(0).float().mean() > 0.9


def test_the_first_view_is_the_picture_and_the_others_have_no_order(network, views):
    def distance(order):
        order = list(order)
        shuffled = Views(views.images[order], views.masks[order], views.camera_to_world[order], views.names)
        return network.reconstruct(shuffled).volume

    plain = distance(range(9))
    np.testing.assert_allclose(distance([0, 8, 3, 5, 1, 2, 7, 4, 6]), plain, atol=1e-3)
    assert (distance([1, 0, *range(2, 9)]) - plain).abs().max() > 1e-2


def test_views_of_another_size_are_brought_to_the_networks_own(network, views, field):
    large = F.interpolate(torch.from_numpy(views.images).permute(0, 3, 1, 2), scale_factor=2, mode="nearest")
    masks = views.masks.repeat(2, 1).repeat(2, 2)
    doubled = Views(large.permute(0, 2, 3, 1).numpy(), masks, views.camera_to_world, views.names)
    assert network.reconstruct(doubled).volume.shape == field.volume.shape


@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_a_field_answers_any_number_of_points(field, count):
    points = np.random.default_rng(1).uniform(-0.6, 0.6, (count, 3)).astype(np.float32)
    distance, color = field.distance(points), field.color(points)
    assert distance.shape == (count,)
    assert color.shape == (count, 3)
    assert distance.dtype == color.dtype == np.float32
    assert np.isfinite(distance).all()
    assert ((color >= 0) & (color <= 1)).all()
    if count:  # the same, whatever block a point falls into
        np.testing.assert_allclose(field.distance(points[-1:]), distance[-1:], atol=1e-6)
        np.testing.assert_allclose(field.color(points[-1:]), color[-1:], atol=1e-6)


def test_a_field_is_looked_up_where_its_cells_are(network, field):
    """At a cell's center the perceptron sees that cell alone, x slowest."""
    side = CONFIG["resolution"]
    cells = network.voxel_centers("cpu")
    entry = torch.cat([field.volume.flatten(1).T, cells / 0.6], 1)
    wanted = network.decoder.layers(entry)[:, 0] * 0.1
    assert entry.shape == (side**3, CONFIG["channels"][0] + 3)
    bare = VolumeField(field.volume, field.decoder, field.half_side)
    np.testing.assert_allclose(bare.distance(cells.numpy()), wanted, atol=1e-5)


def test_a_field_survives_its_file(field, tmp_path):
    path = tmp_path / "field.safetensors"
    save_file(field.tensors(), path)
    again = field_from_tensors(read_tensors(path), path)
    points = np.random.default_rng(2).uniform(-0.6, 0.6, (5000, 3)).astype(np.float32)
    assert again.half_side == pytest.approx(0.6)
    assert np.ptp(field.distance(points)) > 1e-3
    np.testing.assert_allclose(again.distance(points), field.distance(points), atol=2e-4)
    np.testing.assert_allclose(again.color(points), field.color(points), atol=2e-3)


def test_a_file_that_holds_no_field_is_refused(field, tmp_path):
    path = tmp_path / "field.safetensors"
    with pytest.raises(UserError, match="missing"):
        field_from_tensors(read_tensors(path), path)
    for spoil in ("volume", "half_side", "decoder.layers.0.weight", "decoder.layers.4.bias"):
        save_file({name: tensor for name, tensor in field.tensors().items() if name != spoil}, path)
        with pytest.raises(UserError) as caught:
            field_from_tensors(read_tensors(path), path)
        assert caught.value.code == "field_broken", spoil
    for other in (torch.zeros(5, 4, 4, 4), torch.tensor(1.0)):
        save_file({**field.tensors(), "volume": other}, path)
        with pytest.raises(UserError) as caught:
            field_from_tensors(read_tensors(path), path)
        assert caught.value.code == "field_broken"
    save_file(field.tensors(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError) as caught:
        field_from_tensors(read_tensors(path), path)
    assert caught.value.code == "weights_broken"


def write_folder(network, folder):
    write_tensors(folder / "model.safetensors", network.state_dict(), quantize=False)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def test_a_network_survives_its_folder(network, views, field, tmp_path):
    again = load(write_folder(network, tmp_path))
    assert not again.training
    assert not any(each.requires_grad for each in again.parameters())
    torch.testing.assert_close(again.reconstruct(views).volume, field.volume)


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
    (folder / "config.json").write_text(json.dumps({**CONFIG, "hidden": 16}))


def damage_other_words(folder):
    (folder / "config.json").write_text(json.dumps({"width": 3}))


def damage_a_list(folder):
    (folder / "config.json").write_text("[]")


def damage_one_level(folder):
    (folder / "config.json").write_text(json.dumps({**CONFIG, "channels": [8]}))


def damage_a_negative_width(folder):
    (folder / "config.json").write_text(json.dumps({**CONFIG, "features": -8}))


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_a_damaged_folder_is_told_in_one_sentence(network, tmp_path, damage):
    damage(write_folder(network, tmp_path))
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert caught.value.code in ("weights_missing", "weights_broken")
    assert "install" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_shipped_network_rebuilds_a_held_out_shape_from_true_views():
    torch.set_num_threads(1)
    scene = next(scene for scene in load_held_out() if scene.name == "teapot-0")
    truth = Truth(scene, resolution=128)
    poses = ring_poses(90 - scene.elevation)
    pictures = truth.pictures(poses, 128)
    images = np.stack([on_white(each) for each in pictures]).astype(np.float32)
    field = load(STARTER_WEIGHTS / "surface").reconstruct(
        Views(images, pictures[..., 3].astype(np.float32), poses, tuple(map(str, range(9))))
    )
    found = truth.reference.compare(meshing.extract(field, 96, 20_000))
    assert found["f05"] > 0.99  # 1.000 when the weights were made
    assert found["f02"] > 0.97  # 0.995
    assert found["normal_consistency"] > 0.96  # 0.981
    on_it = truth.mesh.vertices[::20]
    assert np.abs(field.distance(on_it)).mean() < 0.004  # 0.0017


def _ball(points: np.ndarray) -> np.ndarray:
    return (np.linalg.norm(points, axis=-1) - 0.3).astype(np.float32)


def test_the_outline_leaves_a_field_alone_that_already_has_it():
    """A ball and its own outline: nothing is lowered, and what is raised lies outside already."""
    pose = camera.camera_to_world(70.0, 0.0)
    origins, directions = camera.rays(pose, 64)
    across = np.linalg.norm(np.cross(origins, directions), axis=-1)
    outline = Outline.of((across < 0.3).astype(np.float32), pose, _ball, 0.6)
    assert outline.lower.max() < 0.03  # at the rim, where pixels are halves
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (5000, 3)).astype(np.float32)
    clear = np.abs(_ball(points)) > 0.03
    assert (np.sign(outline.apply(points, _ball(points)))[clear] == np.sign(_ball(points))[clear]).all()


def test_the_outline_brings_back_a_lost_pole_and_takes_away_what_the_picture_does_not_show():
    """A field that is a ball, a picture that shows only a thin upright pole through its middle."""
    pose = camera.camera_to_world(90.0, 0.0)
    mask = np.zeros((128, 128), np.float32)
    mask[20:108, 60:68] = 1
    outline = Outline.of(mask, pose, _ball, 0.6)
    along = np.linspace(0.7, 1.7, 101)[:, None]  # the camera's ray through a point above the ball
    above = (pose[:3, 3] + along * (np.array([0, 0, 0.33]) - pose[:3, 3])).astype(np.float32)
    beside = np.array([[0.2, 0, 0]], np.float32)
    inside = along[outline.apply(above, _ball(above)) < 0, 0]
    assert _ball(above).min() > 0
    assert 0.02 < np.ptp(inside) < 0.15 and 0.85 < inside.mean() < 1.0  # a pole over the ball, not a rod to the camera
    assert _ball(beside) < 0 < outline.apply(beside, _ball(beside))
    rebuilt = Outline.from_tensors(outline.tensors())
    assert np.array_equal(rebuilt.apply(above, _ball(above)), outline.apply(above, _ball(above)))

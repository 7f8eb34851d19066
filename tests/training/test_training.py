"""The training's own parts: its renderer against the plain scene, where scenes are put, and the files it writes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from backend import camera
from backend.views.zero123.model import Zero123
from procedural.normalization import FILL, LARGEST_COORDINATE, bounding_radius, place
from procedural.sampling import FAMILIES, sample
from procedural.scene import BOX, ELLIPSOID, object_distance
from tests.helpers.triton_interpreter import ONE_OF_EACH, interpreted, needs_triton
from training import ship, surface_model, view_model
from training.paint import plan_angles


@needs_triton
def test_the_gpus_distance_and_color_are_the_plain_scenes():
    interpreted(
        ONE_OF_EACH
        + """
from procedural.scene import Scene

light = np.array([0, 0, 1, 0.5], np.float32)
held_out = load_held_out()[3]
every_kind = Scene("", "", "", 0.0, rows, placement, light)
batch = from_numpy([(each.rows, each.placement, each.light) for each in (every_kind, held_out)], "cpu")
points = random.uniform(-0.6, 0.6, (2, 300, 3)).astype(np.float32)
found, colors = batch.distance(torch.from_numpy(points), color=True)
assert (found < 0).any() and (found > 0).any()
for number, scene in enumerate((every_kind, held_out)):
    np.testing.assert_allclose(found[number], scene.distance(points[number]), atol=2e-5)
    # where two parts or two colors meet, rounding decides
    same = np.abs(colors[number].numpy() - scene.color(points[number])).max(1) < 1e-3
    assert same.mean() > 0.99, same.mean()

# every pattern alone, and stripes along every axis
patterns = []
for pattern, axis in [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (4, 0), (5, 0)]:
    row = rows[:1].copy()
    row[0, 26], row[0, 28] = pattern, axis
    patterns.append(Scene("", "", "", 0.0, row, placement, light))
batch = from_numpy([(each.rows, each.placement, each.light) for each in patterns], "cpu")
points = random.uniform(-0.6, 0.6, (8, 200, 3)).astype(np.float32)
_, colors = batch.distance(torch.from_numpy(points), color=True)
for scene, mine, where in zip(patterns, colors.numpy(), points, strict=True):
    same = np.abs(mine.clip(0, 1) - scene.color(where)).max(1) < 1e-3
    assert same.mean() > 0.99, (scene.rows[0, 26:29], same.mean())
"""
    )


@needs_triton
def test_the_gpus_picture_is_the_benchmarks():
    """One tile: the middle of a picture seen through a frame of 16 pixels."""
    interpreted(
        ONE_OF_EACH
        + """
scene = next(each for each in load_held_out() if each.name == "snowman-0")
truth = Truth(scene, resolution=128)
batch = from_numpy([(scene.rows, scene.placement, scene.light)], "cpu")
picture = batch.render(torch.from_numpy(truth.pose)[None], torch.zeros(1), 16, 1)[0].numpy() / 255
wanted = truth.pictures(truth.pose[None], 16, 1)[0]
covered = wanted[..., 3] > 0.5
assert 30 < covered.sum() < 200
assert ((picture[..., 3] > 0.5) == covered).mean() > 0.97
both = covered & (picture[..., 3] > 0.5)
assert np.abs(picture - wanted)[both][:, :3].mean() < 0.01
assert (picture[~covered & (picture[..., 3] < 0.5)][:, :3] == 1).all()
"""
    )


def placed(rows, yaw, elevation):
    table = torch.from_numpy(rows)
    return place(
        lambda points: object_distance(table, points[0])[0][None],
        torch.tensor([bounding_radius(rows)]),
        torch.tensor([yaw]),
        torch.tensor([elevation]),
    )


@pytest.mark.parametrize(("family", "yaw", "elevation"), [("chair", 0.6, 40.0), ("car", -2.0, -5.0), ("tree", 3.0, 20)])
def test_a_scene_is_placed_as_a_cutout_of_it_would_be(family, yaw, elevation):
    torch.set_num_threads(1)
    rows = sample(family, 7)
    placement, good = placed(rows, yaw, float(elevation))
    assert good.tolist() == [True]
    scale, *offset, cos, sin = placement[0].tolist()
    assert (cos, sin) == pytest.approx((np.cos(yaw), np.sin(yaw)), abs=1e-5)
    steps = np.linspace(-0.6, 0.6, 97, dtype=np.float32)
    world = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    moved = (world - np.float32(offset)) / scale
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    distance = scale * object_distance(torch.from_numpy(rows), torch.from_numpy(moved @ turn))[0].numpy()
    inside = world[distance < 0.003]
    assert np.abs(inside).max() < LARGEST_COORDINATE + 0.02
    pose = camera.camera_to_world(90 - elevation, 0.0)
    pixels, _ = camera.project(inside, pose, 1)
    low, high = pixels.min(0), pixels.max(0)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=0.02)
    side = (high - low).max()
    assert side == pytest.approx(FILL, abs=0.03) or (side < FILL and np.abs(inside).max() > LARGEST_COORDINATE - 0.02)


def test_a_scene_that_was_cut_away_is_told():
    rows = np.zeros((2, 32), np.float32)
    rows[:, 9:18] = np.eye(3).ravel()
    rows[0, :4] = ELLIPSOID, 0.3, 0.3, 0.3
    rows[1, :4] = BOX, 1, 1, 1
    rows[1, 18] = 1
    placement, good = placed(rows, 0.0, 10.0)
    assert good.tolist() == [False]
    assert torch.isfinite(placement).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bounding_radius_bounds(family):
    torch.set_num_threads(1)
    for seed in range(3):
        rows = sample(family, seed)
        radius = bounding_radius(rows)
        ahead = torch.randn(4000, 3, generator=torch.Generator().manual_seed(seed))
        outside = torch.nn.functional.normalize(ahead, dim=-1) * radius * 1.001
        assert (object_distance(torch.from_numpy(rows), outside)[0] > 0).all()


@pytest.mark.parametrize("elevation", [5.0, 14.9, 15.0, 40.0])
def test_scenes_are_painted_from_where_the_pipeline_would_paint_them(elevation):
    rings = (*camera.FIRST_RING, *camera.second_ring(90 - elevation))
    moves = [np.array(move) for _, *move in rings]
    moves = [np.zeros(2), *moves, *(move + change for move in moves for change in camera.NEIGHBORS)]
    elevations, azimuths = plan_angles(torch.tensor([elevation, 20.0]))
    wanted = camera.camera_to_world(90 - elevation + np.array(moves)[:, 0], np.array(moves)[:, 1])
    found = camera.camera_to_world(90 - elevations[0].numpy(), azimuths[0].numpy())
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.fixture(scope="module")
def starter():
    torch.manual_seed(0)
    return view_model.build()


def test_an_untrained_view_model_survives_its_folder(starter, tmp_path):
    torch.set_num_threads(1)
    view_model.save(starter, tmp_path, quantize=False)
    again = Zero123.load(tmp_path)
    kept = again.state_dict()
    assert set(kept) == set(starter.state_dict())
    for name, tensor in starter.state_dict().items():
        torch.testing.assert_close(kept[name], tensor, atol=1e-6, rtol=1e-3)
    assert again.schedule["prediction_type"] == "v_prediction"
    assert again.image_size == view_model.SIZE
    torch.manual_seed(1)
    picture, noisy = torch.rand(1, 3, 128, 128) * 2 - 1, torch.randn(1, 4, 32, 32)
    pose = torch.from_numpy(camera.relative_pose(30.0, 90.0))[None]
    answers = []
    for model in (starter.eval().requires_grad_(False), again):
        condition, embedding = model.encode_condition(picture)
        predicted = model.denoise(noisy, torch.tensor([500]), condition, model.tokens(embedding, pose))
        answers.append((predicted, model.decode(noisy), *model.elevation(embedding)))
    for mine, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(theirs, mine, atol=5e-3 * mine.abs().max().item(), rtol=0)


@pytest.fixture
def shop(starter, tmp_path, monkeypatch):
    """Folders as the two trainings leave them, and an empty place to ship to."""
    torch.manual_seed(0)
    view_model.save(starter, tmp_path / "views", quantize=False)
    (tmp_path / "surface").mkdir()
    network = surface_model.SurfaceNetwork(**surface_model.CONFIG)
    surface_model.save(network, tmp_path / "surface", quantize=False)
    (tmp_path / "starter").mkdir()
    monkeypatch.setattr(ship, "STARTER", tmp_path / "starter")
    monkeypatch.setattr(
        sys, "argv", ["ship", "--views", str(tmp_path / "views"), "--surface", str(tmp_path / "surface")]
    )
    return tmp_path


def test_what_is_shipped_loads_and_is_small_enough(shop, capsys):
    ship.main()
    size = sum(path.stat().st_size for path in (shop / "starter").rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT == 20 * 2**20
    assert f"{size / 2**20:.2f} MiB" in capsys.readouterr().out
    first = Zero123.load(shop / "starter" / "view").unet.conv_in.weight
    wanted = Zero123.load(shop / "views").unet.conv_in.weight
    torch.testing.assert_close(first, wanted, atol=wanted.abs().max().item() / 200, rtol=0)


def test_too_much_to_ship_is_refused(shop):
    (shop / "starter" / "forgotten.safetensors").write_bytes(bytes(ship.LIMIT))
    with pytest.raises(SystemExit, match="nothing was shipped"):
        ship.main()
    assert [path.name for path in (shop / "starter").iterdir()] == ["forgotten.safetensors"]


def test_the_weights_in_the_tree_fit_the_limit():
    size = sum(path.stat().st_size for path in ship.STARTER.rglob("*") if path.is_file())
    assert 5 * 2**20 < size <= ship.LIMIT


@needs_triton
def test_the_fused_normalization_is_pytorchs():
    interpreted(
        """
import copy

import torch
from diffusers import UNet2DConditionModel

from backend.surface.network import Features, VolumeUNet
from training.group_norm import fuse

torch.set_num_threads(1)
torch.manual_seed(0)
unet = UNet2DConditionModel(
    8, 8, 4, down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"], block_out_channels=[16, 32],
    layers_per_block=1, cross_attention_dim=16, attention_head_dim=2,
    norm_num_groups=8,
)
more = torch.tensor([3, 500]), torch.randn(2, 1, 16)
for plain, given in (
    (unet, (torch.randn(2, 8, 8, 8), *more)),
    (Features(8), (torch.randn(2, 4, 16, 16),)),
    (VolumeUNet(7, [8, 16]), (torch.randn(1, 7, 8, 8, 8),)),
):
    for name, parameter in plain.named_parameters():  # fresh norms are all ones and zeros
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    fused = copy.deepcopy(plain)
    fuse(fused)
    found, wanted = (model(*given) for model in (fused, plain))
    found, wanted = (each if isinstance(each, torch.Tensor) else each.sample for each in (found, wanted))
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()
    direction = torch.randn_like(wanted)
    for answer in (found, wanted):
        answer.backward(direction)
    pairs = zip(fused.parameters(), plain.parameters(), strict=True)
    pairs = [(ours.grad.flatten(), theirs.grad.flatten()) for ours, theirs in pairs if theirs.grad is not None]
    ours, theirs = (torch.cat(each) for each in zip(*pairs, strict=True))
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()
"""
    )

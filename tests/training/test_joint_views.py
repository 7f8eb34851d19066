"""The joint view model's training: objective, cameras, buffer, checkpoints, and a small run that is resumed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn

from backend import camera
from backend.views.zero123.model import Zero123
from tests.helpers.training_runs import CONFIG, PLAN, SCHEDULE, VIEWS, joint_model, short_run
from training.cameras import plan_cameras, random_cameras, sample_cameras, view_count
from training.checkpoint import SHARD_BYTES, load_checkpoint, save_checkpoint
from training.config import JointViewsConfig, derive_seed, load_config
from training.evaluate_joint_views import back_column, with_back_given
from training.evaluation_groups import Group
from training.joint_diffusion import JointDenoiser, JointObjective, relative_poses, shifted_timesteps
from training.joint_sampling import generate_joint_views
from training.mixed_precision import lr_factor
from training.scene_buffer import SceneBuffer


@pytest.fixture
def config() -> JointViewsConfig:
    return short_run()


@pytest.fixture
def model() -> Zero123:
    return joint_model()


def batch(count: int) -> dict[str, torch.Tensor]:
    angles = np.stack(plan_cameras(np.linspace(5, 40, count), PLAN), -1)
    return {
        "picture": torch.randint(0, 255, (count, 16, 16, 3), dtype=torch.uint8),
        "latents": torch.randn(count, VIEWS, 4, 4, 4).half(),
        "angles": torch.from_numpy(angles).float(),
        "is_object": torch.zeros(count, dtype=torch.bool),
        "given": torch.arange(count) + 1,
        "given_latents": torch.randn(count, 4, 4, 4).half(),
    }


@pytest.mark.parametrize(("plan", "views"), [("rings and above", 9), ("rings, above and below", 10)])
def test_the_plan_is_the_backend_s(plan, views):
    assert view_count(plan) == views
    for elevation in (5.0, 40.0):
        angles = np.stack(plan_cameras(np.array([0.0, elevation]), plan), -1)[1]
        np.testing.assert_allclose(angles[0], [elevation, 0])
        np.testing.assert_allclose(angles[1:], [entry[1:] for entry in camera.joint_plan(elevation, plan)])
        assert len(angles) == views


@pytest.mark.parametrize(("plan", "beside_rings"), [("rings and above", {1}), ("rings, above and below", {1, 2})])
def test_in_training_only_views_beside_the_rings_are_a_little_off_the_plan(plan, beside_rings):
    inputs = np.full(100, 20.0)
    planned, trained = plan_cameras(inputs, plan), sample_cameras(inputs, plan, 1.0, np.random.default_rng(0))
    off = trained[0] - planned[0]
    np.testing.assert_array_equal(trained[1], planned[1])
    assert set(np.flatnonzero(off.std(0) > 1)) == beside_rings
    assert np.abs(off).max() < 7


def test_random_cameras_start_at_the_input():
    elevations, azimuths = random_cameras(np.array([10.0, 30.0]), 7, np.random.default_rng(0))
    assert elevations.shape == (2, 7)
    assert elevations[:, 0].tolist() == [10, 30] and azimuths[:, 0].tolist() == [0, 0]
    assert elevations.min() > -37 and elevations.max() < 86 and len(np.unique(azimuths)) == 2 * 7 - 1


def test_poses_are_those_of_inference():
    angles = torch.tensor([[[10.0, 0.0], [80.0, 0.0], [-20.0, 120.0]]])
    expected = camera.relative_pose(np.array([0.0, -70.0, 30.0]), np.array([0.0, 0.0, 120.0]))
    np.testing.assert_allclose(relative_poses(angles)[0], expected, atol=1e-6)


def test_the_shift_divides_the_signal_to_noise_ratio():
    alphas = DDPMScheduler.from_config(SCHEDULE).alphas_cumprod
    u = torch.linspace(0.1, 0.9, 17)
    ratio = alphas / (1 - alphas)
    plain, shifted = ratio[(u * 1000).round().long()], ratio[shifted_timesteps(u, 8**0.5)]
    torch.testing.assert_close(plain / shifted, torch.full_like(u, 8.0), atol=0, rtol=0.12)
    assert shifted_timesteps(torch.tensor([0.0, 1.0]), 8**0.5).tolist() == [0, 999]


def test_given_views_are_clean_at_timestep_zero_and_take_no_loss(model, config):
    config = dataclasses.replace(
        config, extra_clean_views=(0.0, 0.0, 1.0), condition_dropout=0.0, learned_guidance_scale=1.0
    )
    scenes, calls = batch(3), []

    class Denoiser(nn.Module):
        def forward(self, pixels, noisy, timesteps, condition, poses, conditioned):
            calls.append((noisy, timesteps))
            # wrong by a million where a view is clean
            predicted = torch.where((timesteps == 0)[..., None, None, None], 1e6, torch.zeros_like(noisy))
            return predicted, torch.zeros(len(noisy), 2)

    _, report = JointObjective(model, config, torch.device("cpu"))(Denoiser(), scenes, torch.float32)
    ((noisy, timesteps),) = calls
    clean = timesteps == 0
    assert clean[:, 0].all() and (clean.sum(1) == 3).all()
    shown, index = scenes["latents"].float().clone(), torch.arange(3)
    shown[index, scenes["given"]] = scenes["given_latents"].float()
    assert clean[index, scenes["given"]].all()
    torch.testing.assert_close(noisy[clean], shown[clean])
    assert report["error"].max() < 100


def test_without_condition_nothing_given_is_visible(model, config):
    config = dataclasses.replace(config, condition_dropout=1.0)
    scenes, objective = batch(2), JointObjective(model, config, torch.device("cpu"))
    losses = []
    for scale in (1, 3):
        torch.manual_seed(1)
        scenes["latents"][:, 0] *= scale
        scenes["given_latents"] *= scale
        scenes["angles"][:, 1:, 1] += 10 * (scale - 1)
        losses.append(objective(JointDenoiser(model), scenes, torch.float32)[1]["error"])
    # the input's latent and the poses changed, and no prediction did; extra clean views are dropped alike
    torch.testing.assert_close(*losses)


def test_learned_guidance_settles_where_guidance_would_lead(model, config):
    """The unconditional prediction sees nothing that is given; scenes without condition learn the plain target."""
    config = dataclasses.replace(
        config, extra_clean_views=(0.0, 1.0), condition_dropout=0.5, learned_guidance_scale=3.0
    )
    calls = []

    class Denoiser(nn.Module):
        def forward(self, pixels, noisy, timesteps, condition, poses, conditioned):
            calls.append((noisy, timesteps, conditioned))
            predicted = torch.full_like(noisy, 0.0 if conditioned.any() else 0.25, requires_grad=True)
            return predicted, torch.zeros(len(noisy), 2)

    torch.manual_seed(2)
    objective = JointObjective(model, config, torch.device("cpu"))
    _, report = objective(Denoiser(), batch(8), torch.float32)
    (_, _, conditioned), (noisy, timesteps, nothing) = calls
    assert not nothing.any() and not noisy[timesteps == 0].any() and 0 < conditioned.sum() < 8
    velocity, without = torch.tensor(0.7), torch.tensor(0.25)
    guided = without + 3.0 * (velocity - without)
    shape = (2, 1, 1, 1, 1)
    target = objective._guided_target(
        velocity.expand(shape), guided.expand(shape), without.expand(shape), torch.tensor([1.0, 0.0])
    )
    torch.testing.assert_close(target.flatten(), torch.stack([guided, velocity]))
    assert report["error"].isfinite().all()


def test_the_buffer_replaces_its_oldest_scenes_and_follows_priorities():
    buffer = SceneBuffer(4)
    for start in (0, 2):
        buffer.insert({"number": torch.arange(start, start + 2)})
    assert len(buffer) == 4
    buffer.insert({"number": torch.tensor([7, 8])})
    torch.manual_seed(0)
    assert set(buffer.sample_batch(200)["number"].tolist()) == {7, 8, 2, 3}
    numbers = buffer.sample_batch(200)["number"]
    buffer.update_priorities((numbers == 3).float())
    assert set(buffer.sample_batch(50)["number"].tolist()) == {3}
    with pytest.raises(ValueError, match="3 at a time"):
        SceneBuffer(4).insert({"number": torch.arange(3)})


def test_seeds_differ_by_run_step_process_and_purpose():
    keys = [("a", 0, 0, "x"), ("b", 0, 0, "x"), ("a", 1, 0, "x"), ("a", 0, 1, "x"), ("a", 0, 0, "y")]
    assert len({derive_seed(*key) for key in keys}) == len(keys)
    assert derive_seed(*keys[0]) == derive_seed(*keys[0])


def test_the_learning_rate_warms_up_again_where_the_optimizer_is_new():
    assert lr_factor(99, 1000, 100) == lr_factor(399, 1000, 100) == 1
    assert lr_factor(0, 1000, 100) == pytest.approx(0.01)
    assert lr_factor(300, 1000, 100, warm_since=300) == pytest.approx(0.01)
    assert lr_factor(1000, 1000, 100) == 0.01


def test_a_configuration_names_every_field_and_no_other():
    with pytest.raises(ValueError, match=r"has \{'speed'\}"):
        load_config(JointViewsConfig, CONFIG, ["speed=3"])


def test_a_configuration_names_a_plan_of_views_that_exists(tmp_path, config):
    with pytest.raises(ValueError, match='plan of views twelve: choose "rings and above" or'):
        load_config(JointViewsConfig, CONFIG, ['view_plan="twelve"'])
    save_checkpoint(tmp_path, 1, config, {})
    description = tmp_path / "checkpoint.json"
    description.write_text(description.read_text().replace(config.view_plan, "twelve"))
    with pytest.raises(ValueError, match="plan of views twelve"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("bits", [None, 8, 6])
def test_a_checkpoint_survives(tmp_path, config, bits):
    torch.manual_seed(0)
    tensors = {"matrix": torch.randn(7, 30), "bias": torch.randn(5), "more": torch.randn(9, 9)}
    if bits is None:  # more than one shard
        tensors |= {f"large{number}": torch.zeros(1000, 3000) for number in range(4)}
    save_checkpoint(tmp_path, 12, config, tensors, {"model": {}, "optimizer": {}}, bits)
    assert all(path.stat().st_size <= SHARD_BYTES for path in tmp_path.glob("averaged-*"))
    read = load_checkpoint(tmp_path)
    assert (read.step, read.config) == (12, config)
    assert read.trainer is not None and read.trainer["step"] == 12
    largest = tensors["matrix"].abs().amax(1, keepdim=True)
    tolerance = largest / (2**bits - 2) * 1.01 if bits else torch.full((7, 1), 2e-3)
    assert ((read.averaged["matrix"] - tensors["matrix"]).abs() <= tolerance).all()
    torch.testing.assert_close(read.averaged["bias"], tensors["bias"], atol=2e-3, rtol=0)
    save_checkpoint(tmp_path, 13, config, tensors, bits=bits)
    assert load_checkpoint(tmp_path).trainer is None  # the optimizer's state is older than the weights
    assert len(list(tmp_path.glob("averaged-*"))) == len(
        json.loads((tmp_path / "checkpoint.json").read_text())["shards"]
    )


def test_given_views_come_back_unchanged_and_the_others_are_generated(model):
    pictures = torch.randint(0, 255, (2, VIEWS, 16, 16, 3), dtype=torch.uint8)
    angles = torch.from_numpy(np.stack(plan_cameras(np.array([5.0, 30.0]), PLAN), -1)).float()
    views = generate_joint_views(model.eval(), pictures, angles, 2, 2.0, clean=3)
    assert views.shape == (2, VIEWS, 16, 16, 4)
    assert torch.equal(views[:, :3, ..., :3], pictures[:, :3])
    blank = pictures.clone()
    blank[:, 3:] = 0
    assert torch.equal(generate_joint_views(model, blank, angles, 2, 2.0, clean=3), views)
    pictures[:, 2] = 255 - pictures[:, 2]
    assert not torch.equal(generate_joint_views(model, pictures, angles, 2, 2.0, clean=3)[:, 3:], views[:, 3:])


@pytest.mark.parametrize(("plan", "back"), [("rings and above", 3), ("rings, above and below", 4)])
def test_a_given_back_takes_its_place_in_the_plan(model, plan, back):
    angles = torch.from_numpy(np.stack(plan_cameras(np.array([5.0, 30.0]), plan), -1)).float()
    assert back_column(plan) == back and (angles[:, back, 1] == 180).all()
    pictures = torch.randint(0, 255, (*angles.shape[:2], 16, 16, 4), dtype=torch.uint8)
    backs = torch.randint(0, 255, (2, 16, 16, 4), dtype=torch.uint8)
    views = with_back_given(model.eval(), Group("noise", plan, pictures, angles, []), backs, 2, 1.0)
    assert views.shape == pictures.shape
    assert torch.equal(views[:, back, ..., :3], backs[..., :3])
    assert torch.equal(views[:, 0, ..., :3], pictures[:, 0, ..., :3])
    assert not torch.equal(views[:, 1:back, ..., :3], pictures[:, 1:back, ..., :3])

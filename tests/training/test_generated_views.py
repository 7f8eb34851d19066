"""The joint view model as the surface network's training uses it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from backend import camera
from backend.paths import STARTER_WEIGHTS
from tests.helpers.training_runs import PLAN, VIEWS, joint_model, short_run, short_surface_run
from training.cameras import plan_cameras, view_count
from training.checkpoint import save_checkpoint
from training.generated_views import ViewGenerator, load_view_model, view_plan_of
from training.joint_diffusion import JointDenoiser
from training.joint_model import initial_model


@pytest.mark.parametrize("kind", ["starter", "folder", "checkpoint"])
def test_a_view_model_is_loaded_from(kind, tmp_path):
    source = {"starter": "starter", "folder": STARTER_WEIGHTS / "view", "checkpoint": tmp_path}[kind]
    first = initial_model(short_run()).unet.conv_in.weight
    if kind == "checkpoint":
        model = initial_model(short_run())
        torch.nn.init.constant_(model.unet.conv_in.weight, 0.25)
        save_checkpoint(tmp_path, 1, short_run(), JointDenoiser(model).state_dict())
    loaded = load_view_model(source, None, "cpu").unet.conv_in.weight
    if kind == "checkpoint":
        assert (loaded == 0.25).all()
    else:
        torch.testing.assert_close(loaded, first)


@pytest.mark.parametrize("plan", camera.JOINT_PLANS)
@pytest.mark.parametrize("config", [short_run(), short_surface_run()])
def test_a_checkpoint_knows_the_plan_of_its_run(tmp_path, config, plan):
    save_checkpoint(tmp_path, 1, dataclasses.replace(config, view_plan=plan), {})
    assert view_plan_of(tmp_path) == plan


@pytest.mark.parametrize("plan", camera.JOINT_PLANS)
def test_a_folder_of_weights_says_its_plan(tmp_path, plan):
    (tmp_path / "view.json").write_text(json.dumps({"kind": "joint", "view_plan": plan}))
    assert view_plan_of(tmp_path) == plan


def test_starter_is_the_plan_of_the_shipped_weights():
    assert view_plan_of("starter") == json.loads((STARTER_WEIGHTS / "view" / "view.json").read_text())["view_plan"]


@pytest.mark.parametrize("plan", camera.JOINT_PLANS)
def test_a_run_starts_with_attention_over_the_views_of_its_plan(plan):
    unet = initial_model(dataclasses.replace(short_run(), view_plan=plan)).unet
    views = {getattr(processor, "views", None) for processor in unet.attn_processors.values()}
    assert views == {None, view_count(plan)}


def test_all_views_but_the_first_are_generated_with_masks():
    torch.manual_seed(0)
    images = torch.randint(0, 255, (2, VIEWS, 16, 16, 4), dtype=torch.uint8)
    angles = torch.from_numpy(np.stack(plan_cameras(np.array([5.0, 30.0]), PLAN), -1)).float()
    generator = ViewGenerator(joint_model().eval(), 1, 2.0)
    generated = generator(images, angles, seed=3)
    assert generated.shape == images.shape and generated.dtype == torch.uint8
    assert torch.equal(generated[:, 0], images[:, 0])
    others = torch.cat([images[:, :1], 255 - images[:, 1:]], 1)
    assert torch.equal(generator(others, angles, seed=3), generated)  # only the input matters
    assert not torch.equal(generator(images, angles, seed=4), generated)

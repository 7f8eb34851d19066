"""The joint view model as the surface network's training uses it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.paths import STARTER_WEIGHTS
from tests.helpers.training_runs import joint_model, short_run
from training.cameras import VIEWS, plan_cameras
from training.checkpoint import save_checkpoint
from training.generated_views import ViewGenerator, load_view_model
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


def test_all_views_but_the_first_are_generated_with_masks():
    torch.manual_seed(0)
    images = torch.randint(0, 255, (2, VIEWS, 16, 16, 4), dtype=torch.uint8)
    angles = torch.from_numpy(np.stack(plan_cameras(np.array([5.0, 30.0])), -1)).float()
    generator = ViewGenerator(joint_model().eval(), 1, 2.0)
    generated = generator(images, angles, seed=3)
    assert generated.shape == images.shape and generated.dtype == torch.uint8
    assert torch.equal(generated[:, 0], images[:, 0])
    others = torch.cat([images[:, :1], 255 - images[:, 1:]], 1)
    assert torch.equal(generator(others, angles, seed=3), generated)  # only the input matters
    assert not torch.equal(generator(images, angles, seed=4), generated)

"""Self-attention over the views of a scene."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from backend.views.zero123.joint_attention import use_joint_attention


@pytest.fixture
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8, attention_head_dim=2, norm_num_groups=8,
    ).requires_grad_(False)  # fmt: skip


def run(unet: UNet2DConditionModel, images: torch.Tensor) -> torch.Tensor:
    tokens = torch.ones(len(images), 1, 8)
    return unet(images, torch.full((len(images),), 500), encoder_hidden_states=tokens, return_dict=False)[0]


def test_one_view_alone_is_the_plain_unet(unet):
    images = torch.randn(3, 4, 8, 8)
    expected = run(unet, images)
    use_joint_attention(unet, 1)
    torch.testing.assert_close(run(unet, images), expected, atol=1e-5, rtol=1e-5)


def test_views_of_a_scene_depend_on_each_other_and_scenes_do_not(unet):
    use_joint_attention(unet, 3)
    images = torch.randn(6, 4, 8, 8)
    before = run(unet, images)
    images[5] = torch.randn(4, 8, 8)
    after = run(unet, images)
    torch.testing.assert_close(after[:3], before[:3])
    assert (after[3:5] - before[3:5]).abs().amax((1, 2, 3)).min() > 1e-3


def test_the_order_of_the_other_views_does_not_matter(unet):
    use_joint_attention(unet, 4)
    images = torch.randn(4, 4, 8, 8)
    order = [0, 3, 1, 2]
    torch.testing.assert_close(run(unet, images[order]), run(unet, images)[order], atol=1e-5, rtol=1e-5)

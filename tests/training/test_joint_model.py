"""Models for joint training: deeper ones start as what they grew from."""

from __future__ import annotations

import torch

from backend.views.zero123.joint_attention import use_joint_attention
from tests.helpers.training_runs import joint_model
from training.joint_model import deepen


def test_new_blocks_change_nothing_until_they_are_trained():
    models = joint_model(), deepen(joint_model(), 2)
    outputs = []
    images, timesteps, tokens = torch.randn(4, 8, 4, 4), torch.full((4,), 300), torch.randn(4, 1, 24)
    for model in models:
        use_joint_attention(model.unet, 2)
        with torch.no_grad():
            outputs.append(model.unet(images, timesteps, encoder_hidden_states=tokens, return_dict=False)[0])
    torch.testing.assert_close(*outputs)
    added = {name for name, _ in models[1].unet.named_parameters()} - {n for n, _ in models[0].unet.named_parameters()}
    assert added and all(".transformer_blocks.1." in name for name in added)

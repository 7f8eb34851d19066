"""Muon beside AdamW, as training runs use them."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from tests.helpers.training_runs import short_run
from training.optimizer import build_optimizer


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(32, 5))


def take_steps(module: nn.Module, optimizer, seeds: range) -> None:
    for seed in seeds:
        pictures = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
        module.zero_grad()
        (module(pictures) - 1).square().mean().backward()
        optimizer.step()


def test_muon_changes_weights_by_nearly_orthogonal_matrices_and_the_rest_as_adamw_does():
    module, config = layers(), dataclasses.replace(short_run(), optimizer="muon", learning_rate=0.01)
    vectors = {name: p for name, p in copy.deepcopy(module).named_parameters() if p.dim() == 1}
    before = copy.deepcopy(module.state_dict())
    take_steps(module, build_optimizer(list(module.parameters()), config), range(1))
    for name, parameter in module.named_parameters():
        change = parameter.detach() - before[name]
        if parameter.dim() > 1:
            values = torch.linalg.svdvals(change.flatten(1)) / (0.01 * 0.2 * max(change.flatten(1).shape) ** 0.5)
            assert values.min() > 0.3 and values.max() < 1.3, name
        else:
            vectors[name].grad = parameter.grad
    torch.optim.AdamW(vectors.values(), 0.01, config.adam_betas, weight_decay=0.0).step()
    for name, expected in vectors.items():
        torch.testing.assert_close(module.state_dict()[name], expected.detach())


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_a_stored_optimizer_goes_on_as_if_nothing_had_happened(name):
    config = dataclasses.replace(short_run(), optimizer=name, learning_rate=0.01)
    module = layers()
    optimizer = build_optimizer(list(module.parameters()), config)
    take_steps(module, optimizer, range(3))
    other = copy.deepcopy(module)
    resumed = build_optimizer(list(other.parameters()), config)
    fresh = copy.deepcopy(module)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    take_steps(module, optimizer, range(3, 5))
    take_steps(other, resumed, range(3, 5))
    take_steps(fresh, build_optimizer(list(fresh.parameters()), config), range(3, 5))
    for parameter, same, different in zip(module.parameters(), other.parameters(), fresh.parameters(), strict=True):
        torch.testing.assert_close(same, parameter)
        assert not torch.allclose(different, parameter)


def test_another_optimizer_is_refused():
    with pytest.raises(ValueError, match="choose"):
        build_optimizer([], dataclasses.replace(short_run(), optimizer="lion"))

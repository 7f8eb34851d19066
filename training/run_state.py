"""What a training run changes and goes on from: weights, their running average, the optimizer and the step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from training.checkpoint import Checkpoint, save_checkpoint
from training.config import RunConfig
from training.mixed_precision import lr_factor
from training.optimizer import build_optimizer

Stored = Callable[[nn.Module], dict[str, torch.Tensor]]
"""The tensors of a module that a checkpoint holds."""


class RunState:
    """The state of one run of ``config`` in this process."""

    def __init__(self, model: nn.Module, config: RunConfig, checkpoint: Checkpoint | None, stored: Stored):
        """Go on from ``checkpoint``, or start with ``model`` as it is. Raises ValueError where the checkpoint holds
        other tensors than ``stored`` names."""
        self.model, self.averaged = model, copy.deepcopy(model)
        self._config, self._stored = config, stored
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._averages = [parameter for parameter in self.averaged.parameters() if parameter.requires_grad]
        self.optimizer = build_optimizer(self._parameters, config)
        self.step = self._warm_since = 0
        self.resumed = "no"
        if checkpoint:
            self._resume(checkpoint)
        self.first_step = self.step

    def _resume(self, checkpoint: Checkpoint) -> None:
        if different := set(checkpoint.averaged) ^ set(self._stored(self.averaged)):
            raise ValueError(f"the checkpoint and the model differ in {', '.join(sorted(different))}")
        self.step = checkpoint.step
        self.averaged.load_state_dict(checkpoint.averaged, strict=False)
        if checkpoint.trainer:
            self.model.load_state_dict(checkpoint.trainer["model"])
            self.optimizer.load_state_dict(checkpoint.trainer["optimizer"])
            self.resumed = "optimizer"
        else:
            self.model.load_state_dict(self.averaged.state_dict())
            self._warm_since = self.step  # the optimizer is new and needs its warm-up wherever the schedule stands
            self.resumed = "average"

    def set_learning_rate(self) -> float:
        """Give the optimizer the schedule's learning rate for the next step, and return it."""
        config = self._config
        rate = config.learning_rate * lr_factor(self.step, config.steps, config.warmup_steps, self._warm_since)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    @torch.no_grad()
    def finish_step(self) -> None:
        """Count a step of the optimizer, and move the average toward the new weights."""
        self.step += 1
        decay = min(self._config.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        trainer = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(folder, self.step, self._config, self._stored(self.averaged), trainer)

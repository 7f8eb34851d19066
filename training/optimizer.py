"""The optimizers of training runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from training.config import RunConfig


class MuonWithAdamW:
    """Muon for the weights of linear and convolutional layers, AdamW for biases and normalizations.

    Muon (arXiv 2502.16982) makes the singular values of a matrix's update equal. Here a convolution's weight is a
    matrix with one row per output channel, and updates are as large as AdamW's, so that both take one learning rate.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], config: RunConfig):
        """``parameters`` are contiguous and stay where they are in memory."""
        self._weights = [parameter for parameter in parameters if parameter.dim() > 1]
        # PyTorch's Muon takes matrices only: these share their memory with the weights.
        self._matrices = [weight.detach().view(len(weight), -1) for weight in self._weights]
        self._muon = torch.optim.Muon(
            self._matrices, config.learning_rate, config.weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
        self._adamw = torch.optim.AdamW(vectors, config.learning_rate, config.adam_betas, weight_decay=0.0, fused=True)

    @property
    def param_groups(self) -> list[dict]:
        """Of both optimizers."""
        return self._muon.param_groups + self._adamw.param_groups

    def step(self) -> None:
        """Change all parameters by their ``grad``."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.view_as(matrix)
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict:
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])


Optimizer = torch.optim.Optimizer | MuonWithAdamW


def build_optimizer(parameters: Sequence[torch.Tensor], config: RunConfig) -> Optimizer:
    """The optimizer that ``config`` names, for ``parameters``. Raises ValueError for another name."""
    if config.optimizer == "muon":
        return MuonWithAdamW(parameters, config)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(
            parameters, config.learning_rate, config.adam_betas, weight_decay=config.weight_decay, fused=True
        )
    raise ValueError(f'the configuration names the optimizer {config.optimizer}: choose "adamw" or "muon"')

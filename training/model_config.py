"""Variants of models: another configuration, or weights between two others."""

from __future__ import annotations

from typing import TypeVar

import torch
from diffusers import ModelMixin
from torch import nn

_Model = TypeVar("_Model", bound=ModelMixin)


def build_variant(model: _Model, **changes) -> _Model:
    """An untrained model of the same class, whose configuration differs from that of ``model`` by ``changes``."""
    config = dict(model.config) | changes
    config.pop("_use_default_values", None)  # it would set what is changed here back to its default
    return type(model).from_config(config)


@torch.no_grad()
def interpolate(network: nn.Module, origin: nn.Module, share: float) -> None:
    """Move ``network`` back toward ``origin``, from which it was trained on; ``share`` 0..1 of the way stays.

    In between, what either can do is often done as well (arXiv 2109.01903).
    """
    for weight, first in zip(network.parameters(), origin.parameters(), strict=True):
        weight.copy_(torch.lerp(first, weight, share))

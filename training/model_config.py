"""Variants of diffusers' models."""

from __future__ import annotations

from typing import TypeVar

from diffusers import ModelMixin

_Model = TypeVar("_Model", bound=ModelMixin)


def build_variant(model: _Model, **changes) -> _Model:
    """An untrained model of the same class, whose configuration differs from that of ``model`` by ``changes``."""
    config = dict(model.config) | changes
    config.pop("_use_default_values", None)  # it would set what is changed here back to its default
    return type(model).from_config(config)

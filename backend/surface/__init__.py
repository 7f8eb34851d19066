"""Views -> field: our surface network and (in ``one2345``) the reference's, both a ``SurfaceModel``."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import torch

from ..types import Field, SurfaceModel
from . import field, network, one2345
from .field import VolumeField
from .network import SurfaceNetwork

__all__ = ["SurfaceNetwork", "VolumeField", "field_from_tensors", "load"]


def load(folder: Path | str, device: str | torch.device = "cpu") -> SurfaceModel:
    """The network in ``folder``; ``kind`` in its ``config.json`` says which, ours has none. Raises UserError."""
    config = None
    with contextlib.suppress(OSError, ValueError):  # network.load reports what is wrong with the file
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    is_reference = isinstance(config, dict) and config.get("kind") == one2345.KIND
    return (one2345.load if is_reference else network.load)(folder, device)


def field_from_tensors(tensors: dict[str, torch.Tensor], path: Path | str, device: str | torch.device = "cpu") -> Field:
    """The field, from either network, that ``tensors`` describe; ``path``, where they were stored, is named in errors.

    Raises UserError ``field_broken``.
    """
    rebuild = one2345.from_tensors if "one2345.volume" in tensors else field.from_tensors
    return rebuild(tensors, path, device)

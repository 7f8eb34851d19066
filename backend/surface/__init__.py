"""Views -> field: our surface network and (in ``one2345``) the reference's, both a ``SurfaceModel``."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch

from ..data_types import Field, SurfaceModel
from ..device import has_fast_bfloat16
from ..errors import ErrorCode, UserError
from ..input_files import read_json
from . import field, network, one2345
from .field import VolumeField
from .network import SurfaceNetwork

MAX_HALF_SIDE = 100.0
"""World units; the object's longest side is 1."""

__all__ = ["SurfaceNetwork", "VolumeField", "field_from_tensors", "load"]


def load(folder: Path | str, device: str | torch.device = "cpu") -> SurfaceModel:
    """The network in ``folder``; ``kind`` in its ``config.json`` says which, ours has none. Raises UserError."""
    config = None
    with contextlib.suppress(OSError, ValueError):  # network.load reports what is wrong with the file
        config = read_json(Path(folder) / "config.json")
    if isinstance(config, dict) and config.get("kind") == one2345.KIND:
        return one2345.load(folder, device)
    model = network.load(folder, device)
    if has_fast_bfloat16(torch.device(device)):
        model.use_bfloat16()
    return model


def field_from_tensors(tensors: dict[str, torch.Tensor], path: Path | str, device: str | torch.device = "cpu") -> Field:
    """The field, from either network, that ``tensors`` describe; ``path``, where they were stored, is named in errors.

    Raises UserError ``broken_field``.
    """
    rebuild = one2345.from_tensors if "one2345.volume" in tensors else field.from_tensors
    try:
        rebuilt = rebuild(tensors, path, device)
        points = rebuilt.half_side * np.array([[0, 0, 0], [0.9, 0.9, 0.9], [-0.9, 0.5, 0.1]], np.float32)
        distance, color = rebuilt.distance(points), rebuilt.color(points)
        is_sound = distance.shape == (3,) and color.shape == (3, 3) and 0 < rebuilt.half_side < MAX_HALF_SIDE
        if not (is_sound and np.isfinite(distance).all() and np.isfinite(color).all()):
            raise ValueError("the field's values are wrong")
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damage shows as whatever the first wrong shape happens to mean
        raise UserError(
            ErrorCode.BROKEN_FIELD, f"{path} does not contain a field of this version: generate the mesh again."
        ) from error
    return rebuilt

"""Where the networks run, and in which precision."""

from __future__ import annotations

import torch

from .errors import ErrorCode, UserError


def choose(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``mps`` -> a device that is there. Raises UserError (``no_device``)."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(each for each in there if there[each])
    if not there[name]:
        have = ", ".join(each for each in there if there[each])
        raise UserError(ErrorCode.NO_DEVICE, f"This computer has no usable {name} device: choose auto or {have}.")
    return torch.device(name)


def precision(device: torch.device) -> torch.dtype:
    """16 bits where the hardware is built for it."""
    return torch.float16 if device.type == "cuda" else torch.float32

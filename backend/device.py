"""Where the networks run, and in which precision."""

from __future__ import annotations

import torch

from .errors import ErrorCode, UserError


def choose_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda`` or ``mps`` -> a device that this computer has. Raises UserError (``no_device``)."""
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [device for device, is_usable in usable.items() if is_usable]
    if name == "auto":
        name = available[0]
    if name not in available:
        advice = f"choose auto or {', '.join(available)}"
        raise UserError(ErrorCode.NO_DEVICE, f"This computer has no usable {name} device: {advice}.")
    return torch.device(name)


def choose_dtype(device: torch.device) -> torch.dtype:
    """16 bits on CUDA GPUs, 32 elsewhere."""
    return torch.float16 if device.type == "cuda" else torch.float32


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether this is a processor whose products of 16 bits (bfloat16) take about half as long as those of 32: one with
    AMX, or AMD's with AVX-512 BF16. Intel's without AMX have those instructions too, and take twice as long for them
    (docs/adr/043-bfloat16-on-processors-that-have-it.md)."""
    if device.type != "cpu":
        return False
    features = torch.cpu.get_capabilities()
    return features.get("amx_bf16", False) or (features.get("avx512_bf16", False) and "AMD" in features["cpu_name"])

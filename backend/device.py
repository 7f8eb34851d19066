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
    """Whether this is a processor that computes with bfloat16 (AVX-512 BF16 or AMX), whose products of 16 bits take
    about half as long as those of 32."""
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))

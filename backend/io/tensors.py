"""Tensors in a file: the one format in which weights and fields are saved.

A file is safetensors; a matrix may be stored as int8 with a companion ``NAME.scale`` (float16, one per output channel,
the first dimension), which brings the starter weights to a size that can be shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import ErrorCode, UserError, printable
from ..paths import weights_remedy
from .impostors import describe_impostor

_SCALE = ".scale"
_SMALLEST_SCALE = 2.0**-24
"""The smallest positive float16."""


def read_tensors(path: Path | str) -> dict[str, torch.Tensor]:
    """The tensors of a file on the CPU; int8 ones with a scale as float32, all others as they are stored.

    Raises UserError (``weights_missing``, ``weights_broken``).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"The weight file {path} is missing: {weights_remedy(path)}.")
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, EOFError, RecursionError) as error:
        problem = describe_impostor(path) or f"is damaged: {weights_remedy(path)}"
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"The weight file {path} {problem}.") from error
    invalid = next((name for name in sorted(tensors) if not _is_finite(tensors[name])), None)
    if invalid is not None:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"The weight file {path} has NaN or infinite values ({printable(invalid)[:80]}): {weights_remedy(path)}.",
        )
    quantized = [name for name in tensors if name + _SCALE in tensors and tensors[name].dtype == torch.int8]
    for name in quantized:
        scale = tensors.pop(name + _SCALE).float()
        tensors[name] = tensors[name].float().mul_(scale.view(-1, *[1] * (tensors[name].dim() - 1)))
    return tensors


def _is_finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    return bool(torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor).all())


def write_tensors(path: Path | str, tensors: dict[str, torch.Tensor], quantize: bool) -> None:
    """Write a file that ``read_tensors`` reads, under a temporary name first.

    ``quantize`` stores floating-point tensors of two or more dimensions as int8, symmetric, with one scale per output
    channel: an error of at most half a step, 1/254 of the channel's largest value. Everything else is stored as it is.
    """
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        if quantize and tensor.dim() >= 2 and tensor.is_floating_point():
            flat = tensor.float().flatten(1)
            largest = flat.abs().amax(1)
            scale = (largest / 127).clamp_min(_SMALLEST_SCALE).half()
            # Divide by the scale as it is stored, one float16 further up where rounding made it too small for 127.
            scale = (scale.view(torch.int16) + (scale.float() * 127 < largest).short()).view(torch.float16)
            stored[name] = (flat / scale.float()[:, None]).round().to(torch.int8).view(tensor.shape)
            stored[name + _SCALE] = scale
        else:
            stored[name] = tensor
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.touch()
    mode = partial.stat().st_mode  # of any new file; safetensors makes one that nobody else may read
    save_file(stored, partial)
    partial.chmod(mode)
    partial.replace(path)


def state_dict_mismatch(expected: Mapping[str, Sequence[int]], actual: Mapping[str, Sequence[int]]) -> str:
    """How the tensor shapes ``actual`` differ from ``expected``, as the second half of a sentence; empty if not."""
    missing = [name for name in expected if name not in actual]
    unexpected = [name for name in actual if name not in expected]
    different = [name for name in expected if name in actual and tuple(actual[name]) != tuple(expected[name])]
    clauses = []
    if missing:
        clauses.append(f"is missing {_format_names(missing)}")
    if unexpected:
        clauses.append(f"has the unexpected {_format_names(unexpected)}")
    if different:
        shapes = (" x ".join(map(str, side[different[0]])) or "a single number" for side in (actual, expected))
        clauses.append(f"has {_format_names(different)} as {' instead of '.join(shapes)}")
    return " and ".join(clauses)


def _format_names(names: Sequence[str]) -> str:
    return f"“{names[0]}”" + (f" and {len(names) - 1} more" if len(names) > 1 else "")

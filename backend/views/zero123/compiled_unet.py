"""UNets compiled ahead of time for the GPU of this computer (PyTorch's AOTInductor), kept on disk.

A compiled UNet takes images of one number and size. It holds no weights: each call passes those of the network, so that
they are in memory once, whatever was compiled.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.func import functional_call

from ...errors import ErrorCode, UserError
from ...paths import data_folder
from ...version import VERSION

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

UNetCall = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Samples (B, c, h, w), timesteps (B,) and tokens (B, 1, cross) -> a prediction (B, c, h, w)."""

_TRY_TO_LOAD = """
import sys, torch
torch._inductor.aoti_load_package(sys.argv[1], run_single_threaded=True)
"""

_log = logging.getLogger(__name__)


class _CallWithWeights(nn.Module):
    """The UNet as a function of its weights too."""

    def __init__(self, unet: nn.Module):
        super().__init__()
        self._unet = (unet,)  # in a tuple, so that its weights do not belong to this module

    def forward(
        self, weights: dict[str, torch.Tensor], sample: torch.Tensor, timesteps: torch.Tensor, tokens: torch.Tensor
    ) -> torch.Tensor:
        options = {"encoder_hidden_states": tokens, "return_dict": False}
        return functional_call(self._unet[0], weights, (sample, timesteps), options)[0]


def compiled_path(unet: UNet2DConditionModel, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> Path:
    """Where the compiled ``unet`` for ``inputs`` of these shapes is, or would be: another file for every network
    structure, precision, GPU, and version of PyTorch, diffusers and this program."""
    device = inputs[0].device
    facts = {
        "program": VERSION,
        "torch": torch.__version__,
        "diffusers": importlib.metadata.version("diffusers"),
        "config": {name: value for name, value in unet.config.items() if not name.startswith("_")},  # _: where from
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "inputs": [(list(tensor.shape), str(tensor.dtype)) for tensor in inputs],
        "weights": [(name, list(weight.shape), weight.stride()) for name, weight in unet.named_parameters()],
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return data_folder() / "compiled" / f"unet-{key}.pt2"


@torch.no_grad()
def compile_unet(unet: UNet2DConditionModel, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> Path:
    """Compile ``unet`` for inputs of these shapes (see ``UNetCall``), in a minute or two, into ``compiled_path``.

    Raises UserError ``no_compiler`` where what was compiled cannot be loaded here. PyTorch raises what it likes where
    compiling itself fails.
    """
    path = compiled_path(unet, inputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.pt2")
    exported = torch.export.export(_CallWithWeights(unet), (dict(unet.named_parameters()), *inputs), strict=False)
    torch._inductor.aoti_compile_and_package(exported, package_path=str(partial))
    # In a process of its own: a library that was linked wrongly ends the process that loads it.
    tried = subprocess.run([sys.executable, "-c", _TRY_TO_LOAD, partial], capture_output=True)
    if tried.returncode:
        partial.unlink()
        said = tried.stderr.decode(errors="replace").strip()
        _log.warning("loading what was compiled ended with status %d: %s", tried.returncode, said[-2000:])
        raise UserError(
            ErrorCode.NO_COMPILER,
            "PyTorch cannot load what it compiled on this computer: go on without, jobs are only slower.",
        )
    partial.replace(path)
    return path


def load_compiled(
    unet: UNet2DConditionModel, inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> UNetCall | None:
    """The compiled ``unet`` for inputs of these shapes; None where there is none, or where it cannot be loaded, which
    the log says."""
    path = compiled_path(unet, inputs)
    if not path.is_file():
        return None
    try:
        # Without PyTorch's locks between threads, which a CUDA graph cannot contain.
        package = torch._inductor.aoti_load_package(str(path), run_single_threaded=True)
    except Exception as error:  # a damaged file shows as anything
        _log.warning("the compiled UNet %s cannot be loaded: %s", path, error)
        return None
    weights = dict(unet.named_parameters())
    return lambda sample, timesteps, tokens: package(weights, sample, timesteps, tokens)

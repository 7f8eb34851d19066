"""The command ``compile``: a view model's UNet is compiled for this computer's GPU, and jobs find it on disk."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import torch
from torch.utils.cpp_extension import CUDA_HOME

from .camera import FIRST_RING
from .device import choose_device, choose_dtype
from .errors import ErrorCode, UserError
from .progress import ProgressListener, ProgressTracker
from .views.independent import IndependentViewModel
from .views.loading import load_view_model
from .views.zero123.batches import BATCH_SIZE
from .views.zero123.compiled_unet import compile_unet
from .weights.resolve import resolve_components

GUIDED_BATCHES = (2 * len(FIRST_RING), 2 * BATCH_SIZE)
"""Images in the UNet at once, with guidance: one of the rings of stage 1, and a batch of stage 2."""


def compile_weights(name: str, listener: ProgressListener) -> list[Path]:
    """Compile the UNet of the view weights called ``name`` for all batches that jobs use: the files that were written.

    Takes one to two minutes for each batch. Raises UserError (``no_device`` without a CUDA GPU, ``no_compiler``,
    ``bad_option`` for weights that sample all views together, and what loading weights raises).
    """
    device = choose_device("cuda")
    _check_compiler()
    tracker = ProgressTracker({"load": 5, **{f"batch {batch}": 60 for batch in GUIDED_BATCHES}}, listener)
    with tracker.stage("load", "Loading the view model"):
        view_model = load_view_model(resolve_components(name)[0], device, choose_dtype(device))
    if not isinstance(view_model, IndependentViewModel):
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"The weights “{name}” generate their views in a fraction of a second: only weights of Zero123's size gain "
            "from being compiled.",
        )
    model = view_model.model
    files = []
    for batch in GUIDED_BATCHES:
        with tracker.stage(f"batch {batch}", f"Compiling for {batch // 2} views at once (a minute or two)"):
            files.append(compile_unet(model.unet, model.unet_inputs(batch)))
    return files


def _check_compiler() -> None:
    missing = None
    if sys.platform != "linux" or importlib.util.find_spec("triton") is None:
        missing = "PyTorch's compiler Triton, which exists for Linux only"
    elif not any(map(shutil.which, ("g++", "clang++"))):
        missing = "a C++ compiler: install g++"
    elif CUDA_HOME is None:
        missing = f"NVIDIA's CUDA toolkit: install version {torch.version.cuda}"
    if missing is not None:
        raise UserError(ErrorCode.NO_COMPILER, f"Compiling needs {missing}. Jobs work without it, only slower.")

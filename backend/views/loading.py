"""A folder of view weights -> the kind of view model that it holds."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import torch

from ..errors import ErrorCode, UserError
from ..types import ViewModel
from .independent import IndependentViewModel
from .zero123.model import Zero123

INDEPENDENT = "independent"
"""Kind of the weights that sample each view on its own; the one that a folder without a kind is of."""


def load_view_model(folder: Path, device: torch.device, dtype: torch.dtype) -> ViewModel:
    """The view model in ``folder``, whose ``view.json``, where there is one, may say its ``kind``. Raises UserError."""
    content = None
    with contextlib.suppress(OSError, ValueError):  # Zero123.load says what is wrong with it
        content = json.loads((folder / "view.json").read_text(encoding="utf-8"))
    kind = content.get("kind", INDEPENDENT) if isinstance(content, dict) else INDEPENDENT
    if kind != INDEPENDENT:
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"The view weights in {folder} are of the kind “{kind}”, which this version does not know: update Image to "
            "Mesh, or choose other weights.",
        )
    return IndependentViewModel(Zero123.load(folder, device, dtype))

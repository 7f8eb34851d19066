"""A folder of view weights -> the kind of view model that it holds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from ..data_types import ViewModel
from ..errors import ErrorCode, UserError
from .independent import IndependentViewModel
from .joint import JointViewModel
from .zero123.model import Zero123

KINDS: dict[str, Callable[[Zero123], ViewModel]] = {"independent": IndependentViewModel, "joint": JointViewModel}
"""What a folder's ``kind`` may be; one without a kind is independent."""
VIEW_PLAN = "rings and above"
"""Name of ``camera.joint_plan``, which a folder of joint weights says it was trained for."""


def load_view_model(folder: Path, device: torch.device, dtype: torch.dtype) -> ViewModel:
    """The view model in ``folder``, whose ``view.json``, where there is one, may say its ``kind``. Raises UserError."""
    content = None
    with contextlib.suppress(OSError, ValueError):  # Zero123.load says what is wrong with it
        content = json.loads((folder / "view.json").read_text(encoding="utf-8"))
    settings = content if isinstance(content, dict) else {}
    kind = settings.get("kind", "independent")
    if not isinstance(kind, str) or kind not in KINDS or settings.get("view_plan", VIEW_PLAN) != VIEW_PLAN:
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"The view weights in {folder} are of the kind “{kind}”, which this version does not know: update Image to "
            "Mesh, or choose other weights.",
        )
    return KINDS[kind](Zero123.load(folder, device, dtype))

"""A folder of view weights -> the kind of view model that it holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

import torch

from ..camera import JOINT_PLANS
from ..data_types import ViewModel
from ..device import has_fast_bfloat16
from ..errors import ErrorCode, UserError
from ..input_files import read_json
from .independent import IndependentViewModel
from .joint import JointViewModel
from .zero123.model import Zero123

DEFAULT_VIEW_PLAN = "rings and above"
"""In ``camera.JOINT_PLANS``, of joint weights that do not say which plan they were trained for."""
JOINT_GUIDANCE_SCALE = 2.0
"""Of joint weights that do not say theirs."""


class ViewSettings(NamedTuple):
    """What the ``view.json`` of view weights says of them; the last two are those of joint weights."""

    kind: str
    """"independent" or "joint"."""
    guidance_scale: float
    view_plan: str
    """In ``camera.JOINT_PLANS``."""


def load_view_model(folder: Path, device: torch.device, dtype: torch.dtype, low_memory: bool = False) -> ViewModel:
    """The view model in ``folder``, whose ``view.json``, where there is one, may say its ``kind``. ``low_memory``: see
    ``Zero123.place``; models that sample views jointly are small. Raises UserError."""
    kind, scale, plan = read_settings(folder)
    model = Zero123.load(folder, device, dtype, low_memory and kind == "independent")
    if kind == "independent":
        return IndependentViewModel(model)
    if has_fast_bfloat16(device):
        model.use_bfloat16()
    return JointViewModel(model, scale, plan)


def read_settings(folder: Path) -> ViewSettings:
    """The settings of the view weights in ``folder``; those of independent ones where nothing says others. Raises
    UserError for what this version does not know."""
    content = None
    with contextlib.suppress(OSError, ValueError):  # Zero123.load says what is wrong with it
        content = read_json(folder / "view.json")
    settings = content if isinstance(content, dict) else {}
    kind = settings.get("kind", "independent")
    plan = settings.get("view_plan", DEFAULT_VIEW_PLAN)
    if kind not in ("independent", "joint") or plan not in list(JOINT_PLANS):  # a list: a file may hold anything
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"The view weights in {folder} are of the kind “{kind}”, which this version does not know: update Image to "
            "Mesh, or choose other weights.",
        )
    scale = settings.get("guidance_scale", JOINT_GUIDANCE_SCALE)
    if not isinstance(scale, (int, float)) or not 1 <= scale <= 100:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"“guidance_scale” in {folder / 'view.json'} must be a number from 1 to 100: install the weights again.",
        )
    return ViewSettings(kind, scale, plan)

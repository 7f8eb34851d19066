"""The name of weights -> the folders of their components."""

from __future__ import annotations

from pathlib import Path

from ..errors import ErrorCode, UserError
from ..paths import STARTER_WEIGHTS, expand_user, weights_folder, weights_remedy
from .registry import is_valid_name

PUBLIC_SURFACE_WEIGHTS = "one2345"
"""The surface weights that complete view weights which have none of their own."""


def locate_weights(name: str) -> Path:
    """The folder of the weights called ``name``: ``starter``, a folder's path, or an installed name.

    Raises UserError (``weights_missing``).
    """
    if name == "starter":
        folder = STARTER_WEIGHTS
    else:
        folder = expand_user(name)
        if not folder.is_dir() and is_valid_name(name):
            folder = weights_folder() / name
    if folder.is_file():
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"{folder} is a file: install it, then choose the name that it gets.",
            command=f"python3 -m backend weights add {folder}",
        )
    if not folder.is_dir():
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"No weights named “{name}” are installed: {weights_remedy(folder)}."
        )
    return folder


def resolve_components(name: str) -> tuple[Path, Path]:
    """The folders of the view model and of the surface network that make up the weights called ``name``.

    Public view weights are installed without a surface network, or are somebody's diffusers folder; One-2-3-45's
    surface network goes with all of them. Raises UserError (``weights_missing``).
    """
    folder = locate_weights(name)
    view = folder / "view" if (folder / "view").is_dir() else folder
    if not (view / "unet").is_dir():
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"The weights “{name}” contain no view model: choose others, or “starter”."
        )
    candidates = (folder / "surface", weights_folder() / PUBLIC_SURFACE_WEIGHTS / "surface")
    surface = next((candidate for candidate in candidates if candidate.is_dir()), None)
    if surface is None:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The weights “{name}” need a surface network too: install {PUBLIC_SURFACE_WEIGHTS}, or its file "
            "ckpt_215000.pth.",
            command=f"python3 -m backend weights fetch {PUBLIC_SURFACE_WEIGHTS}",
        )
    return view, surface

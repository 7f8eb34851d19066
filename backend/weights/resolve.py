"""The name of weights -> the folders of their components."""

from __future__ import annotations

from pathlib import Path

from ..errors import ErrorCode, UserError
from ..paths import STARTER_WEIGHTS, data_folder, weights_remedy

SURFACE_OF_PUBLIC_VIEWS = "one2345"


def locate(name: str) -> Path:
    """The folder of the weights called ``name``: ``starter``, a folder's path, or what was installed under that name.

    Raises UserError (``weights_missing``).
    """
    if name == "starter":
        folder = STARTER_WEIGHTS
    else:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            folder = data_folder() / "weights" / name
    if not folder.is_dir():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There are no weights “{name}”: {weights_remedy(folder)}.")
    return folder


def resolve_components(name: str) -> tuple[Path, Path]:
    """The folders of the view model and of the surface network that make up the weights called ``name``.

    Public view weights are installed by themselves, or are a folder of somebody's; One-2-3-45's surface network goes
    with all of them. Raises UserError (``weights_missing``).
    """
    folder = locate(name)
    view = folder / "view" if (folder / "view").is_dir() else folder
    if not (view / "unet").is_dir():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"The weights “{name}” draw no views: choose others, or “starter”.")
    homes = (folder / "surface", data_folder() / "weights" / SURFACE_OF_PUBLIC_VIEWS / "surface")
    surface = next((home for home in homes if home.is_dir()), None)
    if surface is None:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The weights “{name}” need a surface network too: run “python3 -m backend weights fetch "
            f"{SURFACE_OF_PUBLIC_VIEWS}”, or “weights add” with the file ckpt_215000.pth.",
        )
    return view, surface

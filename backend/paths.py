"""Folders of this program on the user's computer, and paths made of names from outside. Standard library only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .errors import ErrorCode, UserError

PARTIAL = ".partial"
"""Folder inside a job's folder, or among the weights, where files stay until all are complete."""
LOCK = ".lock"
"""File inside a job's folder, or among the weights, that the process that is writing there holds."""
STARTER_WEIGHTS = Path(__file__).resolve().parent / "weights" / "starter"

_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{digit}" for port in ("COM", "LPT") for digit in range(1, 10))}
"""Names that Windows gives to devices, with any ending."""
_MAX_NAME_BYTES = 255
"""Of a file's name, on all usual file systems."""


def data_folder(chosen: Path | None = None) -> Path:
    """The folder of the environment, the installed weights and the logs.

    The variable ``IMAGE_TO_MESH_HOME``, else ``chosen`` (Blender's preferences), else the system's usual one. Raises
    UserError (``no_home``) where the system knows no home of the user, or not the one that is named.
    """
    try:
        return _data_folder(chosen)
    except RuntimeError as error:
        raise UserError(
            ErrorCode.NO_HOME, "Your home folder is not known: choose a data folder (IMAGE_TO_MESH_HOME)."
        ) from error


def _data_folder(chosen: Path | None) -> Path:
    from_environment = os.environ.get("IMAGE_TO_MESH_HOME")
    if from_environment:
        return Path(from_environment).expanduser()
    if chosen is not None:
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "image-to-mesh"


def weights_folder(chosen: Path | None = None) -> Path:
    """The folder of the installed weights in ``data_folder(chosen)``."""
    return data_folder(chosen) / "weights"


def weights_remedy(path: Path) -> str:
    """What the user can do about a missing or damaged weight file, as the second half of a sentence."""
    if path.is_relative_to(STARTER_WEIGHTS):
        return "reinstall the extension, which includes the starter weights"
    return "install these weights again, or choose “starter”"


def remove_any(path: Path) -> None:
    """Delete what is there under this name: a folder with all it holds, a file, or a link, but not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def expand_user(path: str | Path) -> Path:
    """``~`` and ``~NAME`` expanded where there is such a home, else the path as it is, which then is not found."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def safe_join(root: Path, name: str) -> Path:
    """``root / name`` for a ``name`` that comes from outside (a file, an index, a hub), with ``/`` between components.

    Only plain relative components are accepted, and with links resolved the result lies inside ``root``. Refused on
    every system, whichever one this is: an empty name, ``.`` and ``..``, absolute paths, drive letters and streams
    (``:``), backslashes, control characters, surrogates, a dot or space at the end, Windows' device names, long names.
    Raises UserError (``unsafe_path``).
    """
    components = name.split("/") if isinstance(name, str) else [""]
    if not all(_is_plain(component) for component in components):
        raise _unsafe(root, name)
    path = root.joinpath(*components)
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is too long
        raise _unsafe(root, name) from error
    if not inside:
        raise _unsafe(root, name)
    return path


def _is_plain(component: str) -> bool:
    return (
        component not in ("", ".", "..")
        and not any(character in '\\:*?"<>|' or not character.isprintable() for character in component)
        and not component.endswith((".", " "))
        and len(component.encode()) <= _MAX_NAME_BYTES
        and component.partition(".")[0].rstrip().upper() not in _RESERVED
    )


def _unsafe(root: Path, name: object) -> UserError:
    return UserError(
        ErrorCode.UNSAFE_PATH,
        f"{ascii(name)[:80]} cannot be the name of a file inside {root}: the files are damaged or malicious; get them "
        "from the original publisher.",
    )

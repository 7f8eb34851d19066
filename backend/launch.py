"""How a Python process that runs this package is started. Standard library only: Blender imports it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

BOOTSTRAP = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""Program text for ``python -c``, followed by the folder that holds the package, the package and its arguments.

The folder is needed because in Blender this package's name is bl_ext.REPOSITORY.image_to_mesh.backend.
"""
_PARENT_FOLDER = Path(__file__).resolve().parents[1]


def backend_command(python: Path | str, *arguments: str, package: str = "backend") -> list[str]:
    """The command that runs ``python -m PACKAGE ARGUMENTS`` with another interpreter, from any folder."""
    return [str(python), "-I", "-u", "-X", "utf8", "-c", BOOTSTRAP, str(_PARENT_FOLDER), package, *arguments]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment variables without those that configure its own Python, plus ``extra``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | dict(extra or {})

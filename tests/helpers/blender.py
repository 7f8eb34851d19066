"""The Blenders at hand, and how a script runs in one.

IMAGE_TO_MESH_BPY names Pythons with the bpy package, BLENDER names Blender programs; both may hold several, separated
like PATH. Without them, this Python's own bpy and the ``blender`` on the path are taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.cases import in_full
from tests.helpers.paths import ROOT

TIMEOUT = 600
"""Seconds for one process."""


def _named(variable: str) -> list[str]:
    return [value for value in os.environ.get(variable, "").split(os.pathsep) if value]


PYTHONS = _named("IMAGE_TO_MESH_BPY") or ([sys.executable] if find_spec("bpy") else [])
PROGRAMS = _named("BLENDER") or ([program] if (program := shutil.which("blender")) else [])
HOSTS = [(python,) for python in PYTHONS]
HOSTS += [(program, "--background", "--factory-startup", "--python") for program in PROGRAMS]
"""The commands that run a Python script with bpy."""
NONE = pytest.param(
    (), marks=pytest.mark.skip(reason="no Blender: pip install bpy, or set IMAGE_TO_MESH_BPY or BLENDER")
)


def name_of(host: tuple[str, ...]) -> str:
    """A Blender's name in the names of tests."""
    return Path(host[0]).parent.parent.name if host else "none"


in_every_blender = pytest.mark.parametrize("host", HOSTS or [NONE], ids=name_of)
in_the_first_blender = pytest.mark.parametrize("host", (HOSTS or [NONE])[:1], ids=name_of)
_FIRST_IN_FULL = [in_full(HOSTS[0]), *HOSTS[1:]] if len(HOSTS) > 1 else HOSTS or [NONE]
in_later_blenders = pytest.mark.parametrize("host", _FIRST_IN_FULL, ids=name_of)
"""In every Blender, but in the first only in a full run, if there are others."""


def run(host: tuple[str, ...], script: Path, *arguments: object, profile: Path) -> subprocess.CompletedProcess:
    """Run a script in a Blender with a profile of its own; its output is text."""
    profile.mkdir(parents=True)
    separator = ["--"] if len(host) > 1 else []
    variables = {"BLENDER_USER_RESOURCES": str(profile), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [*host, str(script), *separator, *map(str, arguments)]
    return subprocess.run(
        command,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
    )


def start(host: tuple[str, ...], scripts: str, *arguments: object, profile: Path) -> str:
    """Run scripts of tests/blender, separated by commas, in one Blender; the output."""
    return run(host, ROOT / "tests" / "blender" / "start.py", scripts, *arguments, profile=profile).stdout

"""The extension in every Blender at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.blender import (
    HOSTS,
    PROGRAMS,
    PYTHONS,
    TIMEOUT,
    in_every_blender,
    in_later_blenders,
    in_the_first_blender,
    start,
)
from tests.helpers.paths import ROOT

WITHOUT_BACKEND = ("add_object", "placement", "image_input", "prune", "installation", "register")
WITH_BACKEND = ("generate", "text_to_mesh", "weights")
MANY_JOBS = ("another_back", "image_files", "saved_results")
"""Run in the first Blender only: little of it differs by version. The first one needs a new backend.

They are also enough to see whether it works with a backend: ``WITH_BACKEND`` runs in the others."""


@pytest.fixture(scope="session")
def package(made_once) -> Path:
    """The extension's zip, built and validated by Blender's own tool."""

    def build(folder: Path) -> None:
        done = subprocess.run(
            [sys.executable, str(ROOT / "wheels" / "build.py")], capture_output=True, text=True, timeout=TIMEOUT
        )
        assert done.returncode == 0, done.stdout + done.stderr
        folder.mkdir()
        shutil.copy(ROOT / done.stdout.splitlines()[-1].rpartition(":")[0], folder)

    (package,) = made_once("package", build).glob("*.zip")
    return package


def test_package_holds_what_runs_and_nothing_else(package):
    names = zipfile.ZipFile(package).namelist()
    for needed in ("__init__.py", "LICENSE", "backend/server.py", "backend/weights/starter/view/unet/config.json"):
        assert needed in names
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"tests", "training", "docs", "examples", "dist", "out", ".ci", ".git", "pyproject.toml"}
    assert not tops & {"benchmark", "objects", "procedural"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".zip"))]
    assert not [name for name in names if name.startswith("wheels/") and (name.count("/") > 1 or name.endswith(".py"))]


@pytest.fixture(scope="session")
def output_of(request, package, tmp_path_factory) -> Callable[..., str]:
    """Run scripts in turn in one Blender, which takes a second to start, and its backend six: (Blender, scripts, one of
    them, further arguments) -> the output of that one. Those that run are those whose tests were chosen."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = {(each.get("host"), each.get("script")) for each in parameters}

    @cache
    def run_all(host: tuple[str, ...], scripts: str, *arguments: object) -> str:
        folder = tmp_path_factory.mktemp("scripts")
        return start(host, scripts, package, folder, *arguments, profile=folder / "profile")

    def output_of(host: tuple[str, ...], scripts: tuple[str, ...], script: str, *arguments: object) -> str:
        output = run_all(host, ",".join(name for name in scripts if (host, name) in chosen), *arguments)
        _, begun, rest = output.partition(f"RUNNING {script}\n")
        return rest.partition("\nRUNNING ")[0] if begun else output  # which says why it did not get so far

    return output_of


@in_every_blender
@pytest.mark.parametrize("script", WITHOUT_BACKEND)
def test_without_backend(host, script, output_of):
    output = output_of(host, WITHOUT_BACKEND, script)
    assert f"PASSED {script}" in output, output


@pytest.fixture
def output_with_backend(output_of, weights, text_model) -> Callable[..., str]:
    """The output of one of the scripts that need a backend: (Blender, script) -> the output."""
    backend = sys.executable, weights, text_model

    def output_with_backend(host: tuple[str, ...], script: str) -> str:
        scripts = (*WITH_BACKEND, "failure")  # which kills the backend
        if host == HOSTS[0]:
            scripts = (*MANY_JOBS, *scripts, "quit")
        return output_of(host, scripts, script, *backend)

    return output_with_backend


@in_later_blenders
@pytest.mark.parametrize("script", (*WITH_BACKEND, "failure"))
def test_with_backend(host, script, output_with_backend):
    output = output_with_backend(host, script)
    assert f"PASSED {script}" in output, output


@in_the_first_blender
@pytest.mark.parametrize("script", MANY_JOBS)
def test_with_backend_many_jobs(host, script, output_with_backend):
    output = output_with_backend(host, script)
    assert f"PASSED {script}" in output, output


@in_the_first_blender
@pytest.mark.parametrize("script", ["quit"])
@pytest.mark.skipif(not PYTHONS, reason="no bpy package")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_with_backend_that_ends_with_blender(host, script, output_with_backend):
    output = output_with_backend(host, script)
    assert f"PASSED {script}" in output, output
    process = Path("/proc") / output.partition("BACKEND ")[2].split()[0]
    deadline = time.monotonic() + 10
    while process.exists() and (process / "cmdline").read_bytes():  # empty: ended, but nobody has asked for its status
        assert time.monotonic() < deadline, "the backend outlives Blender"
        time.sleep(0.1)


@pytest.mark.skipif(not PROGRAMS, reason="a window needs a Blender program: set BLENDER")
@pytest.mark.skipif(not os.environ.get("DISPLAY") and sys.platform == "linux", reason="there is no display")
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("script", ["window", "responsive"])
def test_in_a_window(program, script, package, weights, tmp_path):
    host = (program, "--factory-startup", "--enable-event-simulate", "--python")
    output = start(host, script, package, tmp_path, sys.executable, weights, profile=tmp_path / "profile")
    assert f"PASSED {script}" in output, output

"""The extension in every Blender at hand.

IMAGE_TO_MESH_BPY names Pythons with the bpy package, BLENDER names Blender programs; both may hold several, separated
like PATH. Without them, this Python's own bpy and the ``blender`` on the path are taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from backend import environment
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

SCRIPTS = ROOT / "tests" / "blender"
TIMEOUT = 600
"""Seconds for one script."""


def _named(variable: str) -> list[str]:
    return [value for value in os.environ.get(variable, "").split(os.pathsep) if value]


PYTHONS = _named("IMAGE_TO_MESH_BPY") or ([sys.executable] if find_spec("bpy") else [])
PROGRAMS = _named("BLENDER") or ([program] if (program := shutil.which("blender")) else [])
HOSTS = [[python] for python in PYTHONS]
HOSTS += [[program, "--background", "--factory-startup", "--python"] for program in PROGRAMS]
"""The commands that run a Python script with bpy."""
NONE = pytest.param(
    [], marks=pytest.mark.skip(reason="no Blender: pip install bpy, or set IMAGE_TO_MESH_BPY or BLENDER")
)


def run(host: list[str], script: Path, *arguments: object, profile: Path) -> subprocess.CompletedProcess:
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


in_every_blender = pytest.mark.parametrize(
    "host", HOSTS or [NONE], ids=lambda host: Path(host[0]).parent.parent.name if host else "none"
)


@in_every_blender
@pytest.mark.parametrize("script", ["add_object", "placement", "register", "image_input", "prune", "installation"])
def test_without_backend(host, script, package, tmp_path):
    passes(host, script, tmp_path, package, tmp_path)


@in_every_blender
@pytest.mark.parametrize("script", ["generate", "failure", "weights"])
def test_with_backend(host, script, package, weights, tmp_path):
    passes(host, script, tmp_path, package, tmp_path, sys.executable, weights)


@pytest.mark.parametrize("host", (HOSTS or [NONE])[:1], ids=["first"])  # many jobs, little that differs by version
@pytest.mark.parametrize("script", ["saved_results", "image_files", "another_back"])
def test_many_jobs(host, script, package, weights, tmp_path):
    passes(host, script, tmp_path, package, tmp_path, sys.executable, weights)


@in_every_blender
def test_text_to_mesh(host, package, weights, text_model, tmp_path):
    passes(host, "text_to_mesh", tmp_path, package, tmp_path, sys.executable, weights, text_model)


@pytest.fixture
def image_path(tmp_path) -> Path:
    """A shaded disc on a transparent ground."""
    path = tmp_path / "Größe 1.png"
    Image.fromarray(shaded_disc()).save(path)
    return path


needs_environment = pytest.mark.skipif(
    environment.python_path() is None, reason="the backend is not installed: python3 -m backend setup"
)


@in_every_blender
@needs_environment
def test_headless_script(host, weights, image_path, tmp_path):
    quick = ["--weights", weights, "--faces", 500, "--texture-size", 256, "--device", "cpu", "--elevation", 20]
    headless(host, tmp_path, image_path, *quick)


@pytest.mark.parametrize("host", (HOSTS or [NONE])[:1], ids=["first"])
@needs_environment
@pytest.mark.slow
def test_headless_script_with_starter_weights(host, image_path, tmp_path):
    headless(host, tmp_path, image_path, "--device", "cpu")


def headless(host: list[str], folder: Path, image_path: Path, *flags: object) -> None:
    """The script in examples makes a whole .blend of an image."""
    out = folder / "out.blend"
    script = ROOT / "examples" / "image_to_mesh.py"
    done = run(host, script, image_path, out, *flags, profile=folder / "profile")
    assert done.returncode == 0 and out.is_file(), done.stdout
    passes(host, "saved", folder / "fresh", out)


@in_every_blender
@needs_environment
def test_headless_script_fails_with_one_sentence(host, tmp_path):
    (tmp_path / "picture.png").write_text("no picture")
    script = ROOT / "examples" / "image_to_mesh.py"
    done = run(host, script, tmp_path / "picture.png", tmp_path / "out.blend", profile=tmp_path / "profile")
    assert done.returncode == 1 and not (tmp_path / "out.blend").exists(), done.stdout
    assert "picture.png" in done.stdout and "Traceback" not in done.stdout, done.stdout


@pytest.mark.skipif(not PYTHONS, reason="no bpy package")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_backend_ends_with_blender(package, weights, tmp_path):
    output = passes(PYTHONS[:1], "quit", tmp_path, package, tmp_path, sys.executable, weights)
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
    host = [program, "--factory-startup", "--enable-event-simulate", "--python"]
    passes(host, script, tmp_path, package, tmp_path, sys.executable, weights)


def passes(host: list[str], script: str, folder: Path, *arguments: object) -> str:
    """Run a script that must pass; its output."""
    done = run(host, SCRIPTS / "start.py", script, *arguments, profile=folder / "profile")
    assert done.returncode == 0 and f"PASSED {script}" in done.stdout, done.stdout
    return done.stdout

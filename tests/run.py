"""Create the test environment and run all checks: ``python3 tests/run.py [--full] [--bpy 4.2,5.0] [PYTEST ARGUMENTS]``.

The checks are Ruff, basedpyright and pytest, which runs in several processes (one: ``-n 0``). The backend's environment
is created first if it is missing. What only the tests need is installed into a small environment on top of it, and each
bpy package (Blender as a Python package) into one of its own, which needs exactly Python 3.11: without it these tests
are skipped. All environments are stored in the user's cache folder. The variable BLENDER names installed Blenders to
test in as well, separated as in PATH.

Without ``--full`` the oldest and the newest bpy are tested in, and of many cases of one kind a few.
"""

from __future__ import annotations

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(f"error: The tests need Python 3.11 to 3.14, but this is {sys.version.split()[0]}: use another one.")

import argparse
import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# After the check above: an older Python would fail on these with a syntax error.
from backend import environment  # noqa: E402
from backend.errors import ErrorCode, UserError  # noqa: E402
from backend.installer import python_of  # noqa: E402
from backend.progress import TerminalProgress  # noqa: E402

BPY = {"4.2": "4.2.23", "4.5": "4.5.15", "5.0": "5.0.1"}
"""Blender versions to test in, oldest first, and their bpy packages."""
BPY_PYTHON = "3.11"
PIP = next((ROOT / "wheels").glob("pip-*.whl")) / "pip"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--full", action="store_true", help="every case in every Blender version: before a release")
    parser.add_argument(
        "--bpy", help="Blender versions to test in; none: --bpy= (default: the oldest and the newest, with --full all)"
    )
    flags, arguments = parser.parse_known_args()
    versions = list(BPY) if flags.full else [*BPY][:: len(BPY) - 1]
    if flags.bpy is not None:
        versions = [version for version in flags.bpy.split(",") if version]
    if unknown := set(versions) - set(BPY):
        parser.error(f"unknown Blender version: {', '.join(unknown)}; known are {', '.join(BPY)}")
    try:
        with ThreadPoolExecutor() as threads:  # pip has one thread, and two cores unpack twice as fast
            installing = threads.submit(_blender_pythons, versions)
            python, blenders = _test_python(), installing.result()
    except UserError as error:
        sys.exit(f"error: {error}" + (f"\nlog: {error.log}" if error.log else ""))
    variables = {
        "OMP_NUM_THREADS": "1",  # there are as many processes as cores
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait slow a shared computer many times
        **os.environ,
        "IMAGE_TO_MESH_HOME": str(environment.environment_folder().parent),
        "IMAGE_TO_MESH_BPY": os.pathsep.join(map(str, blenders)),
    }
    processes = ["-n", "auto", "--maxprocesses", "4", "--no-loadscope-reorder"]  # how they share: tests/conftest.py
    checks = (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pytest", "-rs", "--durations=10", *processes, *(["--full"] if flags.full else []), *arguments],
    )
    types = ["basedpyright", "--pythonpath", str(python)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:  # it has one thread: others work meanwhile
        type_check = subprocess.Popen([python, "-m", *types], cwd=ROOT, env=variables, stdout=output, stderr=output)
        failed = [
            check for check in checks if subprocess.run([python, "-m", *check], cwd=ROOT, env=variables).returncode
        ]
        if type_check.wait():
            failed.append(types)
        output.seek(0)
        print(output.read())
    if failed:
        sys.exit(f"failed: {', '.join(' '.join(check) for check in failed)}")


def _test_python() -> Path:
    """The Python of an environment with the backend's packages and those that only the tests need."""
    backend = environment.ensure(TerminalProgress())
    requirements = (ROOT / "tests" / "requirements.txt").read_text().splitlines()
    python = _environment("tests", backend, [line for line in requirements if not line.startswith("#")], 1000)
    _packages_of(python).joinpath("backend.pth").write_text(str(_packages_of(backend)), encoding="utf-8")
    return python


def _blender_pythons(versions: list[str]) -> list[Path]:
    """A Python with bpy for each version; none where there is no Python that bpy works with."""
    base = _python_for_bpy()
    if base is None and versions:
        print(f"There is no Python {BPY_PYTHON}, so the tests in the bpy packages are skipped.", flush=True)
        return []
    return [_environment(f"bpy-{version}", base, [f"bpy=={BPY[version]}", "numpy<2"], 1500) for version in versions]


def _python_for_bpy() -> str | None:
    for program in filter(None, map(shutil.which, (sys.executable, f"python{BPY_PYTHON}"))):
        command = [program, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(command, capture_output=True, text=True).stdout.strip() == BPY_PYTHON:
            return program
    return None


def _environment(name: str, base: Path | str, requirements: list[str], megabytes: int = 100) -> Path:
    """The Python of a venv of ``base`` with ``requirements``, created if missing; other ones get another venv."""
    digest = hashlib.sha256(" ".join([str(base), *requirements]).encode()).hexdigest()[:8]
    folder = _cache_folder() / f"{name}-{digest}"
    if folder.exists():
        return python_of(folder)
    start = time.monotonic()
    print(f"Creating a test environment with {', '.join(requirements)}", flush=True)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(partial.parent).free < megabytes * 1e6:
        raise UserError(ErrorCode.DISK_FULL, f"{partial.parent} has too little free disk space: free {megabytes} MB.")
    subprocess.run([base, "-I", "-m", "venv", "--without-pip", partial], check=True)
    pip = [python_of(partial), "-I", PIP, "install", "--disable-pip-version-check", "--quiet", "--only-binary", ":all:"]
    if subprocess.run([*pip, *requirements]).returncode:
        raise UserError(
            ErrorCode.SETUP_FAILED, f"The test environment {name} could not be created: see pip's messages above."
        )
    partial.rename(folder)
    print(f"  created in {time.monotonic() - start:.0f} s: {folder}", flush=True)
    return python_of(folder)


def _packages_of(python: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(python.parents[1])}))


def _cache_folder() -> Path:
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "image-to-mesh-tests"


if __name__ == "__main__":
    main()

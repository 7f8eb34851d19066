"""The backend's own Python environment: complete or absent, never partial. Standard library only: Blender imports it.

It is a venv next to whatever Python or Blender the user has, whose packages are never changed. Its folder is named
after everything it depends on (Python, platform, accelerator, locks), so that a new version makes a new one. It is
created under a temporary name, tested, and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .accelerator import WHEELS, chosen_accelerator, find_build, platform_tag, python_tag
from .environment_plan import check_space, environment_folder, make_plan
from .errors import ErrorCode, UserError
from .installer import MASK_MODEL, STAGES, add_packages, install, python_of, run_self_test
from .integrity import find_damage
from .locks import exclusive_lock
from .paths import weights_folder
from .progress import ProgressListener, ProgressTracker
from .weights.catalog import load_catalog
from .weights.registry import atomic_install, exclusive_weights

__all__ = ["add_cluster", "ensure", "environment_folder", "mend", "python_path", "remove", "verify"]


def python_path(base: Path | None = None, accelerator: str | None = None, wheels: Path = WHEELS) -> Path | None:
    """The interpreter of a complete environment, or None; takes a few milliseconds.

    An environment for any accelerator is accepted where none is asked for (``accelerator`` or
    IMAGE_TO_MESH_ACCELERATOR), and so is one made by another Python, since the backend is a process of its own.
    Raises UserError (``bad_option``).
    """
    chosen = chosen_accelerator(accelerator)
    folders = environment_folder(base).glob(f"cp*-{platform_tag()}-{chosen or '*'}-{_lock_hash(wheels)}")
    complete = [folder for folder in folders if _base_python(folder).is_file()]
    best = max(
        complete, key=lambda folder: (folder.name.startswith(python_tag() + "-"), folder.stat().st_mtime), default=None
    )
    return python_of(best) if best else None


def ensure(
    listener: ProgressListener, base: Path | None = None, accelerator: str | None = None, wheels: Path = WHEELS
) -> Path:
    """Create the environment if there is none. Returns its interpreter, at once where it exists.

    ``listener`` is called from this thread, a few times a second at most while a large file is downloaded; what it
    raises (``Cancelled``, say) leaves nothing behind. ``accelerator`` is one of ``cpu``, ``cuda``,
    ``rocm``, ``mps``; with None it is the user's choice (IMAGE_TO_MESH_ACCELERATOR), or else what the hardware offers.
    Safe to interrupt at any point and to run in several processes at once. Raises UserError with the setup log's path.
    """
    if python := python_path(base, accelerator, wheels):
        return python
    home = environment_folder(base)
    try:
        home.mkdir(parents=True, exist_ok=True)
        tracker = ProgressTracker({"wait": 0, **STAGES}, listener)
        with exclusive_lock(home.parent / "setup.lock", _wait_for(tracker)):
            return python_path(base, accelerator, wheels) or _create(tracker, base, accelerator, wheels)
    except OSError as error:
        raise UserError(
            ErrorCode.SETUP_FAILED,
            f"The environment could not be created in {home} ({error}): choose another data folder "
            "(IMAGE_TO_MESH_HOME).",
        ) from error


def mend(
    listener: ProgressListener, base: Path | None = None, accelerator: str | None = None, wheels: Path = WHEELS
) -> Path:
    """As ``ensure``, but an environment that exists is checked first, file by file, and made anew where it is damaged.

    Raises UserError.
    """
    python = python_path(base, accelerator, wheels)
    if python is None:
        return ensure(listener, base, accelerator, wheels)
    folder = python.parents[1]
    tracker = ProgressTracker({"wait": 0, "verify": 10, **STAGES}, listener)
    with exclusive_lock(folder.parents[1] / "setup.lock", _wait_for(tracker)):
        damage = _find_damage(folder, wheels, tracker)
        if not damage:
            return python
        with tracker.stage("verify", f"Making the environment anew, because of {damage}"):
            python = _create(tracker, base, folder.name.split("-")[2], wheels)
        if python.parents[1] != folder:
            shutil.rmtree(folder, ignore_errors=True)
        return python


def verify(listener: ProgressListener, base: Path | None = None, wheels: Path = WHEELS) -> None:
    """Compare every file of the environment with its wheel, and import everything. Changes nothing.

    Raises UserError (``no_backend``, ``environment_broken``).
    """
    python = python_path(base, wheels=wheels)
    if python is None:
        raise UserError(ErrorCode.NO_BACKEND, "The backend is not installed: install it first.")
    folder = python.parents[1]
    tracker = ProgressTracker({"wait": 0, "verify": 10, **STAGES}, listener)
    with exclusive_lock(folder.parents[1] / "setup.lock", _wait_for(tracker)):
        damage = _find_damage(folder, wheels, tracker)
    if damage:
        raise UserError(
            ErrorCode.ENVIRONMENT_BROKEN,
            f"The backend's files are damaged ({damage}): repair it.",
            str(folder.parents[1] / "setup.log"),
            command="python3 -m backend setup",
        )
    with tracker.stage("finish", "The backend's files are sound"):
        tracker.update(1.0)


def add_cluster(
    listener: ProgressListener, base: Path | None = None, accelerator: str | None = None, wheels: Path = WHEELS
) -> Path:
    """As ``ensure``, and with Ray, for batches on a cluster, where it is not installed yet. Raises UserError."""
    python = ensure(listener, base, accelerator, wheels)
    folder = python.parents[1]
    tag, _, built_for, _ = folder.name.split("-")
    build = replace(
        find_build(built_for, wheels, tag), locks=(wheels / "cluster.txt",), version=None, download=82, modules=("ray",)
    )
    tracker = ProgressTracker({"wait": 0, "packages": 95, "test": 5}, listener)
    log = folder.parents[1] / "setup.log"
    with exclusive_lock(folder.parents[1] / "setup.lock", _wait_for(tracker)):
        add_packages(build, folder, log, tracker)
    return python


def remove(base: Path | None = None) -> None:
    """Delete every environment. Raises UserError (``setup_failed``) when a file is in use."""
    home = environment_folder(base)
    if not home.exists():
        return
    with exclusive_lock(home.parent / "setup.lock", _wait_for(ProgressTracker({"wait": 0, **STAGES}))):
        try:
            shutil.rmtree(home)
        except OSError as error:
            raise UserError(
                ErrorCode.SETUP_FAILED,
                f"{home} could not be removed ({error}): close programs that use it and try again.",
            ) from error


def _create(tracker: ProgressTracker, base: Path | None, accelerator: str | None, wheels: Path) -> Path:
    start, home = time.monotonic(), environment_folder(base)
    _remove_partial(home)
    plan = make_plan(base, accelerator, wheels)
    check_space(plan)
    build = plan.build
    name = f"{python_tag()}-{platform_tag()}-{build.accelerator}-{_lock_hash(wheels)}"
    target = home / name
    # Named after the process: the pip of an interrupted one may still be writing into its own. And short, since the
    # path of torch's deepest file has 190 characters and Windows allows 260 in all.
    partial = home / f"{os.getpid()}.partial"
    log = home.parent / "setup.log"
    log.write_text(f"{time.ctime()}\n{sys.version}\n{platform.platform()}\n{name}\n", encoding="utf-8")
    try:
        megabytes = install(build, partial, log, tracker)
        _install_mask_model(partial / MASK_MODEL, base)
        if target.exists():  # its base Python is gone, or it is damaged
            shutil.rmtree(target)
        partial.rename(target)
    finally:
        _remove_partial(home)
    size = sum(entry.stat().st_size for entry in target.rglob("*") if not entry.is_symlink()) / 1e6
    with tracker.stage("finish", "The environment is ready"):
        seconds = time.monotonic() - start
        tracker.update(1.0, detail=f"{megabytes:.0f} MB of packages, {size:.0f} MB on disk, {seconds:.0f} s")
    return python_of(target)


def _find_damage(folder: Path, wheels: Path, tracker: ProgressTracker) -> str:
    """What is wrong with the environment in ``folder``, in a few words; empty where nothing is."""
    tag, _, accelerator, _ = folder.name.split("-")
    build = find_build(accelerator, wheels, tag)
    with tracker.stage("verify", "Checking the environment's files"):
        damage = find_damage(folder, build.locks, tracker.update)
    if damage:
        return f"{damage[0]} and {len(damage) - 1} more" if len(damage) > 1 else damage[0]
    return "its self-test fails" if run_self_test(build, folder, folder.parents[1] / "setup.log", tracker) else ""


def _install_mask_model(file: Path, base: Path | None) -> None:
    """Move the default background-removal model, where there is one, among the weights, where there is none yet."""
    if file.exists():
        entry = load_catalog()[file.stem]
        with exclusive_weights(lambda: time.sleep(0.5), base):
            if not (weights_folder(base) / entry.name).exists():
                origin = "the environment's installation"
                with atomic_install(entry.name, entry.kind, origin, entry.terms, [], base) as folder:
                    file.replace(folder / file.name)
    file.unlink(missing_ok=True)


def _remove_partial(home: Path) -> None:
    """Delete what was not finished, here or by an interrupted process (whose pip may still be running: so call this
    before and after)."""
    for folder in home.glob("*.partial"):
        shutil.rmtree(folder, ignore_errors=True)


def _base_python(folder: Path) -> Path:
    """The interpreter that the environment in ``folder`` was made by; it disappears with its Blender or Python."""
    with contextlib.suppress(OSError):
        for line in (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "executable":
                return Path(value.strip())
    return folder / "missing"


def _lock_hash(wheels: Path) -> str:
    """12 hexadecimal digits over everything that decides what is installed."""
    digest = hashlib.sha256()
    for path in sorted([*wheels.glob("*.lock"), wheels / "accelerators.toml"]):
        digest.update("\n".join([path.name, *path.read_text(encoding="utf-8").splitlines()]).encode())
    return digest.hexdigest()[:12]


def _wait_for(tracker: ProgressTracker) -> Callable[[], object]:
    """What to do while another process holds the lock."""

    def wait() -> None:
        with tracker.stage("wait", "Waiting: another process is creating the environment"):
            time.sleep(0.5)

    return wait

"""Which build of PyTorch fits this computer. Standard library only: Blender imports it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .errors import ErrorCode, UserError

WHEELS = Path(__file__).resolve().parents[1] / "wheels"
ACCELERATORS = ("cpu", "cuda", "rocm", "mps")
_PLATFORMS = {
    ("linux", "x86_64"): "linux_x86_64",
    ("win32", "amd64"): "win_amd64",
    ("darwin", "arm64"): "macosx_arm64",
}


@dataclass(frozen=True)
class Build:
    """What one environment consists of; read from ``wheels/accelerators.toml``."""

    accelerator: str
    locks: tuple[Path, ...]
    """Requirement files with a hash for every package."""
    version: str | None
    """torch's exact version where none of ``locks`` pins it (a build that the package registry does not carry)."""
    index: str | None
    """Where that build is published, if the user's own pip configuration does not know it."""
    download: int
    """Megabytes of packages."""
    disk: int
    """Megabytes of the finished environment."""
    modules: tuple[str, ...]
    """Modules that the self-test imports."""
    mask_model: Path
    """Requirement file, with a hash, of the wheel that the default background-removal model lies in."""
    wheelhouse: Path | None
    """A folder of wheels made by ``wheels/fetch.py``, if there is one: then nothing is downloaded."""


def platform_tag() -> str:
    """This computer as the lock files name it. Raises UserError (``bad_platform``)."""
    tag = _PLATFORMS.get((sys.platform, platform.machine().lower()))
    if tag is None:
        raise UserError(
            ErrorCode.BAD_PLATFORM,
            f"The backend does not run on {platform.system()} {platform.machine()}: it needs Linux or Windows on "
            "x86-64, or macOS on Apple silicon.",
        )
    return tag


def detect_device(wheels: Path = WHEELS) -> tuple[str, str]:
    """The accelerator (``cuda``, ``rocm``, ``mps`` or ``cpu``) and what a person calls the device, or why a GPU that is
    there is not used. Asks the hardware: up to a few seconds."""
    if sys.platform == "darwin":
        return ("mps", "Apple GPU (Metal)") if platform.machine() == "arm64" else ("cpu", "CPU")
    required, cards = _read_table(wheels)["cuda"], _nvidia_cards()
    for name, driver, capability in cards:
        if driver >= required["driver"] and capability >= required["capability"]:
            return "cuda", f"{name} (CUDA)"
    if sys.platform == "linux" and os.access("/dev/kfd", os.R_OK) and shutil.which("rocminfo"):
        return "rocm", "AMD GPU (ROCm)"
    for name, _, capability in cards:
        is_old = capability < required["capability"]
        reason = "is too old" if is_old else f"needs driver {required['driver']} or newer"
        return "cpu", f"CPU; {name} {reason}"
    return "cpu", "CPU"


def chosen_accelerator(given: str | None) -> str | None:
    """The user's choice: ``given``, else the variable IMAGE_TO_MESH_ACCELERATOR, else None.

    Raises UserError (``bad_option``).
    """
    chosen = given or os.environ.get("IMAGE_TO_MESH_ACCELERATOR") or None
    if chosen not in (None, *ACCELERATORS):
        raise UserError(
            ErrorCode.BAD_OPTION, f"There is no accelerator “{chosen}”: choose one of {', '.join(ACCELERATORS)}."
        )
    return chosen


def find_build(accelerator: str, wheels: Path = WHEELS, python: str | None = None, tag: str | None = None) -> Build:
    """The build for ``accelerator`` on this computer, or for another ``python`` (``cp311``) and platform ``tag``.

    Raises UserError (``bad_platform``, ``bad_python`` or ``bad_option``).
    """
    tag = tag or platform_tag()
    python = python or python_tag()
    table = _read_table(wheels)
    entry = table["build"].get(f"{tag}-{accelerator}")
    if entry is None:
        raise UserError(
            ErrorCode.BAD_OPTION, f"PyTorch has no {accelerator} build for {tag}: choose another accelerator."
        )
    common = wheels / f"{python}-{tag}.lock"
    if not common.is_file():
        raise UserError(
            ErrorCode.BAD_PYTHON,
            f"The backend needs Python 3.11 to 3.14, but this is {platform.python_version()}: use another Python.",
        )
    wheelhouse = wheels / accelerator
    return Build(
        accelerator=accelerator,
        locks=(common, wheels / entry["lock"]) if "lock" in entry else (common,),
        version=entry.get("version"),
        index=entry.get("index"),
        download=entry["download"],
        disk=entry["disk"],
        modules=tuple(table["modules"]),
        mask_model=wheels / "u2netp.lock",
        wheelhouse=wheelhouse if wheelhouse.is_dir() else None,
    )


def python_tag() -> str:
    """The running Python as wheels name it, for example ``cp311``."""
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def _read_table(wheels: Path) -> dict:
    return tomllib.loads((wheels / "accelerators.toml").read_text(encoding="utf-8"))


def _nvidia_cards() -> list[tuple[str, int, float]]:
    """The name, series of the driver and compute capability of each NVIDIA GPU that its driver's program lists."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        result = subprocess.run(
            [program, "--query-gpu=driver_version,compute_cap,name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        cards = [line.split(",", 2) for line in result.stdout.splitlines()] if result.returncode == 0 else []
        return [(name.strip(), int(driver.split(".")[0]), float(capability)) for driver, capability, name in cards]
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return []

"""What the creation of an environment will take: known before it begins. Standard library only: Blender imports it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .accelerator import WHEELS, Build, chosen_accelerator, detect_device, find_build
from .errors import ErrorCode, UserError
from .paths import data_folder

_DEVICES = {"cpu": "CPU", "cuda": "NVIDIA GPU (CUDA)", "rocm": "AMD GPU (ROCm)", "mps": "Apple GPU (Metal)"}


@dataclass(frozen=True)
class EnvironmentPlan:
    """What ``environment.ensure`` will do where there is no environment."""

    build: Build
    device: str
    """What a person calls the device that it is for."""
    folder: Path
    free: int
    """Megabytes that are free on its disk."""

    @property
    def download(self) -> int:
        """Megabytes to download."""
        return 0 if self.build.wheelhouse else self.build.download

    @property
    def needed(self) -> int:
        """Megabytes of disk space that it takes to make it; ``build.disk`` of them stay."""
        return self.build.download + self.build.disk


def environment_folder(base: Path | None = None) -> Path:
    """The folder that holds the environments, in the data folder (``paths.data_folder(base)``)."""
    return data_folder(base) / "env"


def make_plan(base: Path | None = None, accelerator: str | None = None, wheels: Path = WHEELS) -> EnvironmentPlan:
    """Takes up to a few seconds. ``base`` and ``accelerator`` as for ``environment.ensure``.

    Raises UserError (``bad_platform``, ``bad_python``, ``bad_option``, ``no_home``).
    """
    chosen, folder = chosen_accelerator(accelerator), environment_folder(base)
    name, device = (chosen, _DEVICES[chosen]) if chosen else detect_device(wheels)
    build = find_build(name, wheels)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return EnvironmentPlan(build, device, folder, shutil.disk_usage(existing).free // 10**6)


def check_space(plan: EnvironmentPlan) -> None:
    """Raises UserError (``disk_full``)."""
    if plan.free < plan.needed:
        raise UserError(
            ErrorCode.DISK_FULL,
            f"The environment needs {plan.needed / 1e3:.1f} GB in {plan.folder}, but only {plan.free / 1e3:.1f} GB is "
            "free: free some space, or choose a data folder (IMAGE_TO_MESH_HOME) on another disk.",
        )

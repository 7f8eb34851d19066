"""Download the backend's wheels for a computer without network: ``python3 wheels/fetch.py --accelerator cpu``.

They go to ``wheels/ACCELERATOR/``. Copy that folder into ``wheels/`` of the other computer's checkout or installed
extension: its environment is then created from these files alone. For another Python or platform see ``--help``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from lock import PIP, PLATFORMS, PYTHONS, WHEELS

sys.path.insert(0, str(WHEELS.parent))

from backend.accelerator import ACCELERATORS, detect_device, find_build, platform_tag
from backend.errors import UserError


def fetch(accelerator: str, python: str, platform: str, cluster: bool) -> Path:
    """Download every wheel of one environment and that of its background-removal model, checked against their hashes.

    ``cluster``: also what ``setup --cluster`` adds. Returns their folder. Raises UserError.
    """
    build = find_build(accelerator, python=f"cp{python.replace('.', '')}", tag=platform)
    folder = WHEELS / accelerator
    if build.version:
        requirement = f"torch=={build.version}"
        # As in the installer: with the user's own pip configuration first, then from the PyTorch project's index.
        if _download(folder, python, platform, [requirement]):
            _exit_on_failure(_download(folder, python, platform, [requirement, "--index-url", str(build.index)]))
    files = [*build.locks, WHEELS / "cluster.txt"] if cluster else build.locks
    locks = [argument for lock in files for argument in ("--requirement", str(lock))]
    _exit_on_failure(_download(folder, python, platform, ["--require-hashes", *locks]))
    arguments = ["--ignore-requires-python", "--require-hashes", "--requirement", str(build.mask_model)]
    _exit_on_failure(_download(folder, python, platform, arguments))
    return folder


def _download(folder: Path, python: str, platform: str, arguments: list[str]) -> int:
    """The exit status of "pip download"."""
    command = [sys.executable, "-I", str(PIP / "pip"), "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), "--python-version", python, "--implementation", "cp"]
    command += [argument for tag in PLATFORMS[platform][1] for argument in ("--platform", tag)]
    return subprocess.run([*command, *arguments]).returncode


def _exit_on_failure(status: int) -> None:
    if status:
        sys.exit("Not every wheel could be downloaded: pip's messages are above.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Download the backend's wheels for a computer without network.")
    parser.add_argument("--accelerator", choices=ACCELERATORS, help="default: what this computer has")
    parser.add_argument("--python", choices=PYTHONS, default=f"{sys.version_info.major}.{sys.version_info.minor}")
    parser.add_argument("--platform", choices=PLATFORMS, help="default: this computer's")
    parser.add_argument("--cluster", action="store_true", help="with Ray, for batches on a cluster")
    flags = parser.parse_args()
    try:
        platform = flags.platform or platform_tag()
        folder = fetch(flags.accelerator or detect_device()[0], flags.python, platform, flags.cluster)
    except UserError as error:
        sys.exit(f"error: {error}")
    size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl")) / 1e6
    print(f"{folder}: {size:.0f} MB for Python {flags.python} on {platform}")


if __name__ == "__main__":
    main()

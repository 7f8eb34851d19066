"""Write the lock files: ``python wheels/lock.py``. Exact versions and hashes for every platform and Python.

pip resolves requirements.txt once for each pair, without installing anything. With ``--platform`` it still evaluates
the environment markers ("; sys_platform == ...") for the running interpreter, so they are replaced before it starts.
What the optional engine for clusters needs beside these goes into cluster.txt, one file for all pairs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

WHEELS = Path(__file__).resolve().parent
PIP = next(WHEELS.glob("pip-*.whl"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MANYLINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
PLATFORMS = {
    "linux_x86_64": (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
        [*MANYLINUX, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"],
    ),
    "win_amd64": (
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
        ["win_amd64"],
    ),
    "macosx_arm64": (
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
        ["macosx_14_0_arm64", "macosx_14_0_universal2"],
    ),
}
CLUSTER = "ray==2.60.0"
"""What ``python3 -m backend setup --cluster`` adds, with everything that it needs in turn."""
TORCH = ("torch", "triton", "nvidia-", "cuda-")
"""Prefixes of the packages that belong to one build of PyTorch, and so into its own lock."""

_RESOLVE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pip._vendor.packaging import markers
markers.default_environment = lambda values=json.loads(sys.argv[2]): values
from pip._internal.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


def resolve(python: str, platform: str, requirements: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Package name -> its version and the sha256 of the one wheel that fits ``python`` on ``platform``.

    ``requirements``: pip's arguments.
    """
    names, tags = PLATFORMS[platform]
    markers = {
        **names,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_version": "",
    }
    # Only the registry itself: wheels from a folder in the user's configuration must not be locked.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    environment["PIP_CONFIG_FILE"] = os.devnull
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        arguments = ["install", "--dry-run", "--ignore-installed", "--quiet", "--only-binary", ":all:"]
        arguments += ["--report", str(report), "--target", folder, "--python-version", python, "--implementation", "cp"]
        arguments += [argument for tag in tags for argument in ("--platform", tag)]
        arguments += requirements
        command = [sys.executable, "-I", "-c", _RESOLVE, str(PIP), json.dumps(markers), *arguments]
        subprocess.run(command, env=environment, check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        entry["metadata"]["name"].lower().replace("_", "-"): (
            entry["metadata"]["version"],
            entry["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for entry in installs
    }


def write_lock(path: Path, pins: dict[tuple[str, str], set[str]]) -> None:
    """Write a requirements file; ``pins``: (package name, version) -> sha256 of every wheel that is allowed."""
    lines = ["# Made by lock.py: do not edit."]
    for (name, version), hashes in sorted(pins.items()):
        lines.append(" ".join([f"{name}=={version}", *(f"--hash=sha256:{value}" for value in sorted(hashes))]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(pins)} packages", flush=True)


def lock_cluster() -> None:
    """Write cluster.txt: the packages of ``CLUSTER`` that the other lock files, which must be there, do not have."""
    pins = defaultdict(set)
    for platform in PLATFORMS:
        for python in PYTHONS:
            lock = WHEELS / f"cp{python.replace('.', '')}-{platform}.lock"
            common = [line.split()[0] for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
            names = {pin.split("==")[0] for pin in common}
            for name, (version, sha256) in resolve(python, platform, [CLUSTER, *common]).items():
                if name not in names and not name.startswith(TORCH):
                    pins[name, version].add(sha256)
    write_lock(WHEELS / "cluster.txt", pins)


def main() -> None:
    """Write all lock files."""
    for platform in PLATFORMS:
        torch = defaultdict(set)
        for python in PYTHONS:
            common = {}
            requirements = ["--requirement", str(WHEELS / "requirements.txt")]
            for name, (version, sha256) in resolve(python, platform, requirements).items():
                if name.startswith(TORCH):
                    torch[name, version].add(sha256)
                else:
                    common[name, version] = {sha256}
            write_lock(WHEELS / f"cp{python.replace('.', '')}-{platform}.lock", common)
        write_lock(WHEELS / f"torch-{platform}.lock", torch)
    lock_cluster()


if __name__ == "__main__":
    main()

"""Whether an environment's files are the ones its wheels brought. Standard library only."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from .progress import OnProgress

_BLOCK = 1 << 20


def find_damage(folder: Path, locks: Sequence[Path], on_progress: OnProgress) -> list[str]:
    """Names of packages of ``locks`` that the environment in ``folder`` lacks, and of its files that are missing or
    whose size or sha256 is not the one that their wheel's RECORD states. Reads all of them: seconds per gigabyte."""
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    present = {_normalized(path.name): path for path in packages.glob("*.dist-info")}
    damage = [pin for pin in _pins(locks) if _normalized(f"{pin.replace('==', '-')}.dist-info") not in present]
    for count, info in enumerate(present.values()):
        damage += _damaged_files(packages, info)
        on_progress((count + 1) / len(present))
    return damage


def _pins(locks: Sequence[Path]) -> list[str]:
    lines = (line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines())
    return [line.split()[0] for line in lines if "==" in line and not line.startswith("#")]


def _normalized(name: str) -> str:
    return re.sub("[-_.]+", "_", name).lower()


def _damaged_files(packages: Path, info: Path) -> list[str]:
    try:
        with open(info / "RECORD", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        return [
            row[0] for row in rows if len(row) == 3 and row[1] and not _is_intact(packages / row[0], row[1], row[2])
        ]
    except (OSError, ValueError, csv.Error):
        return [f"{info.name}/RECORD"]


def _is_intact(path: Path, expected: str, size: str) -> bool:
    algorithm, _, digest = expected.partition("=")
    try:
        if size and path.stat().st_size != int(size):
            return False
        actual = hashlib.new(algorithm)
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                actual.update(block)
    except OSError:
        return False
    return base64.urlsafe_b64encode(actual.digest()).rstrip(b"=").decode() == digest.rstrip("=")

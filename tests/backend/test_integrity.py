"""Damage that is found in an environment, installed here by the pip that the program carries."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.integrity import find_damage
from tests.helpers.paths import ROOT

PIP = next((ROOT / "wheels").glob("pip-*.whl")) / "pip"


def make_wheel(folder: Path) -> Path:
    """A wheel of a package with a module and a data file."""
    path = folder / "little_thing-1.0-py3-none-any.whl"
    info = "little_thing-1.0.dist-info"
    files = {
        "little_thing/__init__.py": b"answer = 42\n",
        "little_thing/data.bin": bytes(range(256)) * 40,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: little-thing\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,"]))
    return path


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def packages_of(folder: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """A folder in which pip has installed that package."""
    folder = tmp_path_factory.mktemp("integrity")
    command = [
        sys.executable,
        str(PIP),
        "install",
        "--quiet",
        "--no-index",
        "--target",
        str(packages_of(folder / "env")),
    ]
    subprocess.run([*command, str(make_wheel(folder))], check=True)
    return folder / "env"


@pytest.fixture
def installed(environment, tmp_path) -> tuple[Path, Path, Path]:
    """A copy of the environment, its packages' folder, and its lock file."""
    folder, lock = tmp_path / "env", tmp_path / "all.lock"
    shutil.copytree(environment, folder)
    lock.write_text("# pins\nlittle-thing==1.0 \\\n    --hash=sha256:00\n", encoding="utf-8")
    return folder, packages_of(folder), lock


def truncate(packages: Path) -> None:
    path = packages / "little_thing" / "data.bin"
    path.write_bytes(path.read_bytes()[:100])


def flip_a_bit(packages: Path) -> None:
    path = packages / "little_thing" / "data.bin"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)


def delete_a_file(packages: Path) -> None:
    (packages / "little_thing" / "__init__.py").unlink()


def delete_the_record(packages: Path) -> None:
    (packages / "little_thing-1.0.dist-info" / "RECORD").unlink()


def delete_the_package(packages: Path) -> None:
    for path in sorted(packages.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def test_a_whole_environment_has_no_damage(installed):
    folder, _, lock = installed
    fractions: list[float] = []
    assert find_damage(folder, [lock], fractions.append) == [] and fractions[-1] == 1


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (truncate, "little_thing/data.bin"),
        (flip_a_bit, "little_thing/data.bin"),
        (delete_a_file, "little_thing/__init__.py"),
        (delete_the_record, "little_thing-1.0.dist-info/RECORD"),
        (delete_the_package, "little-thing==1.0"),
    ],
)
def test_damage_is_found_and_named(installed, damage: Callable[[Path], None], named):
    folder, packages, lock = installed
    damage(packages)
    assert find_damage(folder, [lock], lambda fraction: None) == [named]

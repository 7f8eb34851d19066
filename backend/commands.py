"""What the commands ``mesh``, ``text`` and ``doctor`` do, once the environment is there."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import device
from .errors import ErrorCode, UserError
from .options import Options
from .pipeline import Pipeline
from .progress import TerminalProgress, never_cancelled
from .version import VERSION
from .weights.resolve import locate_weights


def mesh(picture: Path, output: Path | None, options: Options) -> None:
    """Write OUT.glb (default: the picture's name in the current folder) and its preview beside it; print the report.

    Raises UserError. Each file is complete or not there; a picture that has the preview's name is never overwritten.
    """
    target = _target(picture.stem, output)
    preview = target.with_suffix(".png")
    if preview.exists() and (not target.exists() or preview.samefile(picture)):
        preview = target.with_name(f"{target.stem}-preview.png")
    _make(
        lambda folder: Pipeline().generate(picture, folder, options, TerminalProgress(), never_cancelled),
        {"mesh.glb": target, "preview.png": preview},
    )


def text(words: str, output: Path | None, options: Options) -> None:
    """Write OUT.glb (default: named after the words), its preview and the picture it was made of; print the report.

    Raises UserError. Each file is complete or not there.
    """
    target = _target("-".join(re.findall(r"\w+", words))[:60], output)
    _make(
        lambda folder: Pipeline().imagine(words, folder, options, TerminalProgress(), never_cancelled),
        {
            "mesh.glb": target,
            "preview.png": target.with_suffix(".png"),
            "picture.png": target.with_name(f"{target.stem}-picture.png"),
        },
    )


def doctor(packages: Sequence[str]) -> int:
    """Print what is installed; 0 when a picture could be turned into a mesh now."""
    print(f"Image to Mesh {VERSION}, Python {platform.python_version()}: {sys.executable}")
    versions = importlib.metadata.packages_distributions()
    for name in packages:
        owner = versions.get(name, [name])[0]
        print(f"  {owner} {importlib.metadata.version(owner)}")
    print(f"device: {device.choose('auto')}")
    print(f"weights: {locate_weights('starter')}")
    return 0


def _make(work: Callable[[Path], dict], wanted: dict[str, Path]) -> None:
    """Do the work in a temporary folder, put the wanted files of it in their places, and tell about it."""
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        result = work(Path(folder))
        for name, place in wanted.items():
            _put(Path(folder) / name, place)
    _print_report(result["report"])
    print("", *wanted.values(), sep="\n")


def _target(name: str, output: Path | None) -> Path:
    target = (output or Path(f"{name or 'mesh'}.glb")).absolute()
    if target.suffix.lower() != ".glb":
        raise UserError(ErrorCode.BAD_OUTPUT, f"{target.name} does not end in .glb: name the result NAME.glb.")
    if not target.parent.is_dir():
        raise UserError(ErrorCode.BAD_OUTPUT, f"There is no folder {target.parent}: make it first, or choose another.")
    return target


def _put(source: Path, target: Path) -> None:
    partial = target.with_name(target.name + ".partial")
    try:
        shutil.copyfile(source, partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _print_report(report: dict) -> None:
    height = report["elevation"]
    source = height["source"] + (f" by {report['matcher']}" if report["matcher"] else "")
    print(f"\nelevation {height['degrees']:.0f} degrees: {source}, confidence {height['confidence']:.2f}")
    print("\nseconds")
    for stage, seconds in report["seconds"].items():
        print(f"  {stage:<12} {seconds:7.1f}")
    print(f"  {'together':<12} {sum(report['seconds'].values()):7.1f}")
    print("\nmesh")
    for name, value in report["mesh"].items():
        print(f"  {name:<12} {_short(value)}")


def _short(value) -> str:
    """A number, a fact or nested lists of them, floats with four digits."""
    if isinstance(value, list):
        return "(" + ", ".join(map(_short, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

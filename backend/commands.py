"""What the commands ``mesh``, ``text`` and ``doctor`` do, once the environment is there."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .device import choose_device
from .errors import ErrorCode, UserError
from .io.export import write_atomically
from .options import Options
from .pipeline import Pipeline
from .progress import TerminalProgress, never_cancelled
from .version import VERSION
from .views.given import parse_views
from .weights.resolve import locate_weights


def mesh(image: Path, output: Path | None, options: Options, views: Sequence[str] = ()) -> None:
    """Write OUT.glb (default: the image's name in the current folder) and its preview beside it; print the report.

    ``views``: further images of the object, each as SIDE=IMAGE (``views.given.parse_side``).
    Raises UserError. Each file is complete or not there; an image that has the preview's name is never overwritten.
    """
    target = _check_target(image.stem, output)
    preview = target.with_suffix(".png")
    if preview.exists() and (not target.exists() or preview.samefile(image)):
        preview = target.with_name(f"{target.stem}-preview.png")
    given = parse_views(views)
    _run(
        lambda folder: Pipeline().generate(image, folder, options, TerminalProgress(), never_cancelled, given),
        {"mesh.glb": target, "preview.png": preview},
    )


def text(prompt: str, output: Path | None, options: Options) -> None:
    """Write OUT.glb (default: named after the prompt), its preview and the generated image; print the report.

    Raises UserError. Each file is complete or not there.
    """
    target = _check_target("-".join(re.findall(r"\w+", prompt))[:60], output)
    _run(
        lambda folder: Pipeline().text_to_mesh(prompt, folder, options, TerminalProgress(), never_cancelled),
        {
            "mesh.glb": target,
            "preview.png": target.with_suffix(".png"),
            "picture.png": target.with_name(f"{target.stem}-picture.png"),
        },
    )


def doctor(packages: Sequence[str]) -> int:
    """Print what is installed; 0 when an image could be turned into a mesh now. Raises UserError."""
    print(f"Image to Mesh {VERSION}, Python {platform.python_version()}: {sys.executable}")
    versions = importlib.metadata.packages_distributions()
    for name in packages:
        owner = versions.get(name, [name])[0]
        print(f"  {owner} {importlib.metadata.version(owner)}")
    print(f"device: {choose_device('auto')}")
    print(f"weights: {locate_weights('starter')}")
    return 0


def _run(job: Callable[[Path], dict], outputs: dict[str, Path]) -> None:
    """Run a job in a temporary folder, copy its ``outputs`` (name in the folder -> path) and print the report."""
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        result = job(Path(folder))
        for name, path in outputs.items():
            write_atomically(path, (Path(folder) / name).read_bytes())
    _print_report(result["report"])
    print("", *outputs.values(), sep="\n")


def _check_target(name: str, output: Path | None) -> Path:
    """The absolute path of ``output`` (default: NAME.glb), which has to be writable as a GLB. Raises UserError."""
    target = (output or Path(f"{name or 'mesh'}.glb")).absolute()
    if target.suffix.lower() != ".glb":
        raise UserError(ErrorCode.BAD_OUTPUT, f"{target.name} does not end in .glb: name the result NAME.glb.")
    if not target.parent.is_dir():
        raise UserError(
            ErrorCode.BAD_OUTPUT, f"There is no folder {target.parent}: create it first, or choose another."
        )
    return target


def _print_report(report: dict) -> None:
    elevation = report["elevation"]
    source = elevation["source"] + (f" by {report['matcher']}" if report["matcher"] else "")
    print(f"\nelevation {elevation['degrees']:.0f} degrees: {source}, confidence {elevation['confidence']:.2f}")
    print("\nseconds")
    for stage, seconds in report["seconds"].items():
        print(f"  {stage:<12} {seconds:7.1f}")
    print(f"  {'total':<12} {sum(report['seconds'].values()):7.1f}")
    print("\nmesh")
    for name, value in report["mesh"].items():
        print(f"  {name:<12} {_format(value)}")


def _format(value) -> str:
    """A number, a fact or nested lists of them; floats with four digits."""
    if isinstance(value, list):
        return "(" + ", ".join(map(_format, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

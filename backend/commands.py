"""What the commands ``mesh``, ``text`` and ``doctor`` do, once the environment is there."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ErrorCode, UserError, printable
from .io.outputs import (
    GENERATED_IMAGE,
    MESH,
    PREVIEW,
    first_free,
    is_one_of,
    reserve_outputs,
    resolve_output,
    write_together,
)
from .options import Options
from .progress import ProgressEvent, ProgressListener, TerminalProgress
from .version import VERSION
from .views.given import parse_views
from .weights.resolve import locate_weights

if TYPE_CHECKING:
    from .pipeline import Pipeline

_SHOWN_MODULES = ("torch", "diffusers", "transformers", "safetensors", "PIL", "cv2", "scipy", "trimesh")
_BYTES_PER_FACE = 60
"""Of a GLB, at most."""


def mesh(
    image: Path,
    output: Path | None,
    force: bool,
    options: Options,
    views: Sequence[str] = (),
    mask: Path | None = None,
) -> None:
    """Write OUT.glb (default: the image's name in the current folder) and its preview beside it; print the report.

    ``views``: further images of the object, each as SIDE=IMAGE (``views.given.parse_side``). ``mask`` shows where in
    the image the object is (``io.image.load_mask``).
    Raises UserError. All files are written or none; a file that is not ours is replaced only with ``force``, an input
    image never.
    """
    target = resolve_output(output or Path(f"{image.stem}.glb"))
    given = parse_views(views)
    inputs = [image, *given.values(), *([mask] if mask is not None else [])]
    preview = _preview_path(target, inputs)
    if is_one_of(preview, inputs):
        raise UserError(
            ErrorCode.BAD_OUTPUT, f"The preview would replace the image {preview}: choose another name with -o."
        )
    _run(
        lambda pipeline, folder, listener: pipeline.generate(image, folder, options, listener, given, mask),
        {"mesh.glb": (target, MESH), "preview.png": (preview, PREVIEW)},
        force,
        options,
    )


def text(prompt: str, output: Path | None, force: bool, options: Options) -> None:
    """Write OUT.glb (default: named after the prompt), its preview and the generated image; print the report.

    Raises UserError. All files are written or none; a file that is not ours is replaced only with ``force``.
    """
    name = "-".join(re.findall(r"\w+", prompt))[:60] or "mesh"
    target = resolve_output(output or Path(f"{name}.glb"))
    _run(
        lambda pipeline, folder, listener: pipeline.text_to_mesh(prompt, folder, options, listener),
        {
            "mesh.glb": (target, MESH),
            "preview.png": (_preview_path(target, []), PREVIEW),
            "picture.png": (target.with_name(f"{target.stem}-picture.png").resolve(), GENERATED_IMAGE),
        },
        force,
        options,
    )


def doctor() -> None:
    """Print what is installed. Raises UserError where no image could be turned into a mesh now."""
    from .device import choose_device  # imports torch, which takes seconds

    print(f"Image to Mesh {VERSION}, Python {platform.python_version()}: {sys.executable}")
    versions = importlib.metadata.packages_distributions()
    for name in _SHOWN_MODULES:
        owner = versions.get(name, [name])[0]
        print(f"  {owner} {importlib.metadata.version(owner)}")
    print(f"device: {choose_device('auto')}")
    print(f"weights: {locate_weights('starter')}")


def _run(
    job: Callable[[Pipeline, Path, ProgressListener], dict],
    outputs: dict[str, tuple[Path, str]],
    force: bool,
    options: Options,
) -> None:
    """Run a job in a temporary folder, copy its ``outputs`` (name in the folder -> path, role) and print the report."""
    needed = 3 * options.texture_size**2 + _BYTES_PER_FACE * options.faces
    with (
        reserve_outputs(dict(outputs.values()), needed, force),
        tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder,
    ):
        listener = TerminalProgress()
        listener(ProgressEvent("start", 0.0, "Starting"))
        from .pipeline import Pipeline  # torch takes seconds: first the outputs are checked, and something is shown

        result = job(Pipeline(), Path(folder), listener)
        write_together({path: (Path(folder) / name).read_bytes() for name, (path, _) in outputs.items()})
    _print_report(result["report"])
    print("", *(printable(str(path)) for path, _ in outputs.values()), sep="\n")


def _preview_path(target: Path, inputs: Sequence[Path]) -> Path:
    """NAME.png, or NAME-preview.png where the former is an input or not ours."""
    names = f"{target.stem}.png", f"{target.stem}-preview.png"
    return first_free([target.with_name(name).resolve() for name in names], PREVIEW, inputs)


def _print_report(report: dict) -> None:
    print(f"\ncutout by {report['foreground']}: {report['cutout']['share']:.0%} of the image")
    elevation = report["elevation"]
    source = elevation["source"] + (f" by {report['matcher']}" if report["matcher"] else "")
    print(f"\nelevation {elevation['degrees']:.0f} degrees: {source}, confidence {elevation['confidence']:.2f}")
    print("\nseconds")
    for stage, seconds in report["seconds"].items():
        print(f"  {stage:<12} {seconds:7.1f}")
    print(f"  {'total':<12} {sum(report['seconds'].values()):7.1f}")
    print("\nmesh")
    for name, value in report["mesh"].items():
        print(f"  {name:<18} {_format(value)}")
    if report["warnings"]:
        print("\nwarnings")
    for warning in report["warnings"]:
        print(f"  {printable(warning)}")


def _format(value) -> str:
    """A number, a fact or nested lists of them; floats with four digits."""
    if isinstance(value, list):
        return "(" + ", ".join(map(_format, value)) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Weights of each format -> the layout of an installation, and the check that it loads.

The layouts are the ones that ``resolve.resolve_components`` and the networks' loaders read.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from .. import surface
from ..elevation_estimation import loftr
from ..errors import ErrorCode, UserError
from ..input_files import read_json
from ..io.checkpoint import read_checkpoint
from ..io.tensors import write_tensors
from ..paths import safe_join
from ..preprocessing import rembg
from ..progress import OnProgress
from ..surface.one2345 import loading as one2345
from ..views.zero123 import convert as zero123
from ..views.zero123.loading import load_components, projection_folder, weight_file
from .registry import copy_file

UNSAFE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".py")
"""Of files in a text-to-image folder that could run a program: they are not installed."""
PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt"}


@dataclass(frozen=True)
class WriteTask:
    """Weights to be written into an installation."""

    source: Path
    """A file or a folder."""
    folder: Path
    """New and empty."""
    reserve: Callable[[int], None]
    """Called with the bytes that will be written before any is; raises UserError where they do not fit."""
    on_progress: OnProgress
    uses_source_elevation: bool = False
    """View weights: whether the fourth pose number is Stable Zero123's."""
    half: bool = False
    """View checkpoints: whether to round to 16 bits."""
    may_hardlink: bool = False
    """Whether the source's files may be hard linked instead of copied: nobody will change them."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the user on what was installed, to which a writer adds."""


def write_view_folder(task: WriteTask) -> None:
    """A diffusers folder of either public family, or ours: each component in the preferred precision, no pickles.

    Raises UserError.
    """
    source, folder = task.source, task.folder / "view"
    components = {name: source / name for name in ("unet", "vae", "image_encoder")}
    components["clip_camera_projection"] = projection_folder(source) or source / "clip_camera_projection"
    files = {name: weight_file(component) for name, component in components.items()}
    advance = _byte_counter(files.values(), task)
    for name, file in files.items():
        stem = "model" if name == "image_encoder" else "diffusion_pytorch_model"
        target = folder / name / f"{stem}.safetensors"
        if file.suffix == ".safetensors":
            copy_file(file, target, advance, task.may_hardlink)
        else:
            write_tensors(target, _own_tensors(read_checkpoint(file), file), quantize=False)
            advance(file.stat().st_size)
        config = components[name] / "config.json"
        if config.is_file():
            shutil.copyfile(config, folder / name / "config.json")
    if (source / "view.json").is_file():
        for name in ("view.json", "elevation.safetensors", "scheduler/scheduler_config.json"):
            if (source / name).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, folder / name)
    elif task.uses_source_elevation:
        zero123.mark_uses_source_elevation(folder)


def write_view_checkpoint(task: WriteTask) -> None:
    """An original Zero123 checkpoint, converted. Raises UserError."""
    folder = task.folder / "view"
    has_ema = zero123.convert(
        task.source, folder, task.uses_source_elevation, task.half, task.on_progress, task.reserve
    )
    if not has_ema:
        task.notes.append(
            "This checkpoint has no averaged (EMA) weights: the raw ones are used, whose views are worse."
        )


def write_surface_folder(task: WriteTask) -> None:
    """A surface network of ours. Raises UserError."""
    files = [task.source / name for name in ("config.json", "model.safetensors")]
    _copy_files(files, replace(task, folder=task.folder / "surface"))


def write_surface_checkpoint(task: WriteTask) -> None:
    """One-2-3-45's checkpoint, converted. Raises UserError."""
    task.reserve(task.source.stat().st_size)
    one2345.convert(task.source, task.folder / "surface")


def write_bundle(task: WriteTask) -> None:
    """A folder with ``view`` and ``surface``. Raises UserError."""
    write_view_folder(replace(task, source=task.source / "view"))
    write_surface_folder(replace(task, source=task.source / "surface"))


def write_matcher(task: WriteTask) -> None:
    """LoFTR's checkpoint, as safetensors. Raises UserError."""
    task.reserve(task.source.stat().st_size)
    content = read_checkpoint(task.source)
    tensors = _own_tensors(content.get("state_dict", content), task.source)
    write_tensors(task.folder / "model.safetensors", tensors, quantize=False)


def write_mask(task: WriteTask) -> None:
    """One of rembg's models. Raises UserError."""
    if task.source.stem not in (names := [model.name for model in rembg.MODELS]):
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"{task.source.name} is not a supported background-removal model: use one of {', '.join(names)}.",
        )
    _copy_files([task.source], replace(task, source=task.source.parent))


def write_text_to_image(task: WriteTask) -> None:
    """The components that ``model_index.json`` names; one that has only fp16 files gets the plain file names.

    Raises UserError.
    """
    source = task.source
    components = [safe_join(source, name) for name in _component_names(source)]
    for component in components:
        if not component.is_dir():
            raise UserError(
                ErrorCode.WEIGHTS_MISSING,
                f"{source} is missing its folder {component.name}: download the complete model.",
            )
        suffixes = {path.suffix for path in component.iterdir()}
        if ".safetensors" not in suffixes and suffixes & PICKLE_SUFFIXES:
            raise UserError(
                ErrorCode.WEIGHTS_REFUSED,
                f"{component} contains pickle files, which could run code: download the safetensors version.",
            )
    files = [path for component in components for path in sorted(component.iterdir()) if path.is_file()]
    files = [path for path in files if path.suffix not in UNSAFE_SUFFIXES]
    _copy_files([source / "model_index.json", *files], task)
    for path in task.folder.glob("*/*.fp16.safetensors"):
        plain = path.with_name(path.name.replace(".fp16.", "."))
        if plain.exists():
            path.unlink()
        else:
            path.rename(plain)


def check_view(folder: Path) -> None:
    """Raises UserError where the view model in ``folder`` does not load."""
    load_components(folder / "view")


def check_surface(folder: Path) -> None:
    """Raises UserError where the surface network in ``folder`` does not load."""
    surface.load(folder / "surface", torch.device("cpu"))


def check_bundle(folder: Path) -> None:
    """Raises UserError where one of the two networks in ``folder`` does not load."""
    check_view(folder)
    check_surface(folder)


def check_matcher(folder: Path) -> None:
    """Raises UserError where LoFTR does not load from ``folder``."""
    loftr.load_network(folder / "model.safetensors")


def check_mask(folder: Path) -> None:
    """Raises UserError where the background-removal model in ``folder`` outputs no mask."""
    (file,) = folder.glob("*.onnx")
    rembg.check_model(file)


def check_text_to_image(folder: Path) -> None:
    """Raises UserError where a file in ``folder`` cannot be opened, or an index names one that is not there.

    Whether they make a working pipeline is known only when it is used.
    """
    for path in sorted(folder.glob("*/*")):
        if path.suffix == ".safetensors":
            read_checkpoint(path)
        elif path.suffix == ".json":
            content = _read_json(path)
            if path.name.endswith(".index.json"):
                _check_shards(path, content)


def _check_shards(path: Path, index: object) -> None:
    """Raises UserError where a shard that the index names is missing or would lie elsewhere."""
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise _damaged_json(path)
    for name in sorted(map(str, shards.values())):
        if not safe_join(path.parent, name).is_file():
            raise UserError(
                ErrorCode.WEIGHTS_MISSING, f"{path.parent.name}/{name} is missing: download the complete model."
            )


def _component_names(folder: Path) -> list[str]:
    """Names of the folders that a diffusers pipeline consists of."""
    path = folder / "model_index.json"
    index = _read_json(path)
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise _damaged_json(path)
    names = [name for name, value in index.items() if isinstance(value, list) and value and value[0]]
    if not names:
        raise _damaged_json(path)
    return names


def _read_json(path: Path) -> object:
    try:
        return read_json(path)
    except ValueError as error:
        raise _damaged_json(path) from error


def _damaged_json(path: Path) -> UserError:
    return UserError(ErrorCode.WEIGHTS_BROKEN, f"{path.parent.name}/{path.name} is damaged: download it again.")


def _own_tensors(content: dict, source: Path) -> dict[str, torch.Tensor]:
    """Named tensors, each with memory of its own. Raises UserError (``weights_broken``)."""
    if stranger := next((name for name, value in content.items() if not isinstance(value, torch.Tensor)), None):
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN, f"“{stranger}” in {source} is not a tensor: download the original file."
        )
    return {name: tensor.clone() for name, tensor in content.items()}


def _copy_files(files: list[Path], task: WriteTask) -> None:
    """Copy files of the task's source, each to the same relative path in its folder. Raises UserError."""
    for file in files:
        if not file.is_file():
            raise UserError(ErrorCode.WEIGHTS_MISSING, f"{file} is missing: download the complete model.")
    advance = _byte_counter(files, task)
    for file in files:
        copy_file(file, task.folder / file.relative_to(task.source), advance, task.may_hardlink)


def _byte_counter(files: Iterable[Path], task: WriteTask) -> Callable[[int], None]:
    """Reserve space for ``files``; the function returned takes the bytes of each block and reports the progress."""
    total, done = sum(file.stat().st_size for file in files), 0
    task.reserve(total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        task.on_progress(done / total)

    return advance

"""What a file or a folder from anywhere is, as far as weights go, and how it is written into an installation.

The layouts written are the ones that ``store.parts`` and the rooms' loaders read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .. import surface
from ..elevation_estimation import loftr
from ..errors import ErrorCode, UserError
from ..io.checkpoint import read_checkpoint
from ..io.tensors import write_tensors
from ..preprocessing import rembg
from ..progress import OnProgress
from ..surface.one2345 import loading as one2345
from ..views.zero123 import convert as zero123
from ..views.zero123.loading import load_parts, projection_folder, weight_file
from .registry import copy

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".py")
"""Endings of files in a text-to-image folder that could run a program."""
_LOFTR = ("backbone.conv1.weight", "loftr_coarse.layers.0.q_proj.weight")


@dataclass(frozen=True)
class Task:
    """Weights to be written."""

    source: Path
    folder: Path
    """New and empty."""
    reserve: Callable[[int], None]
    """Called with the bytes that will be written before any is; raises UserError where they do not fit."""
    on_progress: OnProgress
    polar_of_source: bool = False
    """View weights: whether the fourth pose number is Stable Zero123's."""
    half: bool = False
    """View checkpoints: whether to round to 16 bits."""
    take: bool = False
    """Whether the source's files may be linked to instead of copied: nobody will change them."""


@dataclass(frozen=True)
class Format:
    """One of the forms that weights come in."""

    kind: str
    """As in the catalog."""
    write: Callable[[Task], None]
    check: Callable[[Path], object]
    """Loads the new folder as a job would. Raises UserError."""


def recognize(path: Path) -> Format:
    """What ``path`` is. Raises UserError (``weights_missing``, ``weights_broken``, ``weights_unknown``...)."""
    if path.is_dir():
        return _recognize_folder(path)
    if not path.is_file():
        raise UserError(ErrorCode.WEIGHTS_MISSING, f"There is no file or folder {path}: correct the path.")
    if path.suffix == ".onnx":
        return MASK
    content = read_checkpoint(path)
    inner = content.get("state_dict", content)
    keys = {str(key) for key in (inner if isinstance(inner, dict) else content)}
    if zero123.recognize(keys):
        return VIEW_CHECKPOINT
    if all(name in keys for name in _LOFTR):
        return MATCHER
    if one2345.recognize({str(key) for key in content}):
        return SURFACE_CHECKPOINT
    raise UserError(
        ErrorCode.WEIGHTS_UNKNOWN,
        f"{path} is none of the weights this program knows (Zero123, One-2-3-45, LoFTR, a rembg model, a text-to-image "
        "folder): get the original file.",
    )


def _recognize_folder(path: Path) -> Format:
    if (path / "unet").is_dir() and projection_folder(path):
        return VIEW
    if (path / "view").is_dir() and (path / "surface").is_dir():
        return SET
    if (path / "model_index.json").is_file():
        return TEXT_TO_IMAGE
    if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
        return SURFACE
    raise UserError(
        ErrorCode.WEIGHTS_UNKNOWN,
        f"The folder {path} is none of the weights this program knows (a Zero123 or a text-to-image folder of "
        "diffusers, a folder with view and surface): choose the folder that holds model_index.json, or a file.",
    )


def _write_view(task: Task) -> None:
    """A diffusers folder of either public family, or one of ours: the preferred precision of each part, no pickles."""
    source, folder = task.source, task.folder / "view"
    projection = projection_folder(source)
    homes = {name: source / name for name in ("unet", "vae", "image_encoder")} | {"clip_camera_projection": projection}
    files = {name: weight_file(home) for name, home in homes.items()}
    advance = _counter(files.values(), task)
    for name, file in files.items():
        stem = "model" if name == "image_encoder" else "diffusion_pytorch_model"
        target = folder / name / f"{stem}.safetensors"
        if file.suffix == ".safetensors":
            copy(file, target, advance, task.take)
        else:
            write_tensors(target, _tensors(read_checkpoint(file), file), quantize=False)
            advance(file.stat().st_size)
        config = homes[name] / "config.json"
        if config.is_file():
            shutil.copyfile(config, folder / name / "config.json")
    if (source / "view.json").is_file():
        for name in ("view.json", "elevation.safetensors", "scheduler/scheduler_config.json"):
            if (source / name).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(source / name, folder / name)
    elif task.polar_of_source:
        zero123.mark_polar_of_source(folder)


def _write_view_checkpoint(task: Task) -> None:
    zero123.convert(task.source, task.folder / "view", task.polar_of_source, task.half, task.on_progress, task.reserve)


def _write_surface(task: Task) -> None:
    _copy_all(
        [task.source / name for name in ("config.json", "model.safetensors")],
        replace(task, folder=task.folder / "surface"),
    )


def _write_surface_checkpoint(task: Task) -> None:
    task.reserve(task.source.stat().st_size)
    one2345.convert(task.source, task.folder / "surface")


def _write_set(task: Task) -> None:
    _write_view(replace(task, source=task.source / "view"))
    _write_surface(replace(task, source=task.source / "surface"))


def _write_matcher(task: Task) -> None:
    task.reserve(task.source.stat().st_size)
    content = read_checkpoint(task.source)
    tensors = _tensors(content.get("state_dict", content), task.source)
    write_tensors(task.folder / "model.safetensors", tensors, quantize=False)


def _write_mask(task: Task) -> None:
    if task.source.stem not in (names := [model.name for model in rembg.MODELS]):
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN, f"{task.source.name} is none of the models that are used: {', '.join(names)}."
        )
    _copy_all([task.source], replace(task, source=task.source.parent))


def _write_text_to_image(task: Task) -> None:
    """The components that ``model_index.json`` names; one that comes as 16-bit files only gets the plain names."""
    source = task.source
    parts = [source / name for name in _components(source)]
    for part in parts:
        if not part.is_dir():
            raise UserError(ErrorCode.WEIGHTS_MISSING, f"{source} lacks its folder {part.name}: get all of it.")
        endings = {path.suffix for path in part.iterdir()}
        if ".safetensors" not in endings and endings & {".bin", ".pt", ".pth", ".ckpt"}:
            raise UserError(
                ErrorCode.WEIGHTS_REFUSED, f"{part} comes as pickles, which could run a program: get it as safetensors."
            )
    files = [path for part in parts for path in sorted(part.iterdir()) if path.is_file() and path.suffix not in PICKLES]
    _copy_all([source / "model_index.json", *files], task)
    for path in task.folder.glob("*/*.fp16.safetensors"):
        plain = path.with_name(path.name.replace(".fp16.", "."))
        path.unlink() if plain.exists() else path.rename(plain)


def _components(folder: Path) -> list[str]:
    """Names of the folders that a diffusers pipeline is made of."""
    path = folder / "model_index.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if str(about["_class_name"]):
            return [name for name, value in about.items() if isinstance(value, list) and value and value[0]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{path} is damaged: get it again.") from error


def _check_text_to_image(folder: Path) -> None:
    """Whether every file can be opened; whether they make a working pipeline shows when it is used."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix == ".safetensors":
            read_checkpoint(path)
        elif path.suffix == ".json":
            try:
                about = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UserError(
                    ErrorCode.WEIGHTS_BROKEN, f"{path.parent.name}/{path.name} is damaged: get it again."
                ) from error
            if path.name.endswith(".index.json"):
                shards = set(about.get("weight_map", {}).values())
                if lost := sorted(name for name in shards if not (path.parent / name).is_file()):
                    raise UserError(
                        ErrorCode.WEIGHTS_MISSING, f"{path.parent.name}/{lost[0]} is missing: get all of it."
                    )


def _tensors(found: dict, source: Path) -> dict[str, torch.Tensor]:
    """Named tensors, each with memory of its own."""
    if strange := next((name for name, value in found.items() if not isinstance(value, torch.Tensor)), None):
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{source} holds no tensor under “{strange}”: get the original file.")
    return {name: tensor.clone() for name, tensor in found.items()}


def _copy_all(files: list[Path], task: Task) -> None:
    """Copy files of the task's source, each to the same place in its folder."""
    for file in files:
        if not file.is_file():
            raise UserError(ErrorCode.WEIGHTS_MISSING, f"{file} is missing: get all of it.")
    advance = _counter(files, task)
    for file in files:
        copy(file, task.folder / file.relative_to(task.source), advance, task.take)


def _counter(files: Iterable[Path], task: Task) -> Callable[[int], None]:
    """Reserve space for ``files``; what is returned takes the bytes of each block and reports the task's progress."""
    total, done = sum(file.stat().st_size for file in files), 0
    task.reserve(total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        task.on_progress(done / total)

    return advance


def _check_view(folder: Path) -> None:
    load_parts(folder / "view")


def _check_surface(folder: Path) -> None:
    surface.load(folder / "surface", torch.device("cpu"))


def _check_set(folder: Path) -> None:
    _check_view(folder)
    _check_surface(folder)


def _check_matcher(folder: Path) -> None:
    loftr.load(folder / "model.safetensors")


def _check_mask(folder: Path) -> None:
    (file,) = folder.glob("*.onnx")
    rembg.check(file)


VIEW = Format("view", _write_view, _check_view)
VIEW_CHECKPOINT = Format("view", _write_view_checkpoint, _check_view)
SURFACE = Format("surface", _write_surface, _check_surface)
SURFACE_CHECKPOINT = Format("surface", _write_surface_checkpoint, _check_surface)
SET = Format("set", _write_set, _check_set)
MATCHER = Format("matcher", _write_matcher, _check_matcher)
MASK = Format("mask", _write_mask, _check_mask)
TEXT_TO_IMAGE = Format("text-to-image", _write_text_to_image, _check_text_to_image)

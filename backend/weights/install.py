"""Weights from the hub or from disk -> installed, complete and checked, or not at all."""

from __future__ import annotations

import gc
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..io.checkpoint import check_sums
from ..progress import ProgressListener, ProgressTracker, format_bytes
from ..views.zero123.loading import STEMS, VARIANTS
from ..weights.resolve import SURFACE_OF_PUBLIC_VIEWS
from . import download, registry
from .catalog import Entry, catalog, installed
from .download import HubFile
from .formats import Format, Task, recognize
from .registry import check_disk, place

FETCH = {"find": 1, "download": 80, "write": 17, "check": 2}
ADD = {"find": 1, "write": 97, "check": 2}
"""Each stage's usual share of the time."""

_STABLE = re.compile(r"stable[-_ ]?zero123", re.I)
"""In a name: weights whose fourth pose number differs; nothing inside the files tells."""
VIEW_FOLDERS = ("unet", "vae", "image_encoder", "clip_camera_projection", "cc_projection")


def wanted(name: str) -> list[Entry]:
    """What a fetch of ``name`` brings: the entry and, of those it needs, the ones that are not installed yet.

    Raises UserError.
    """
    entries = catalog()
    if name not in entries:
        known = ", ".join(each for each, entry in entries.items() if entry.repo)
        raise UserError(ErrorCode.WEIGHTS_UNKNOWN, f"There are no weights “{name}” to be fetched: choose from {known}.")
    if entries[name].repo is None:
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"“{name}” is on no model hub: get {entries[name].files[0]} yourself and use “weights add”.",
        )
    registry.check_name(name)
    there = installed()
    return [entries[each] for each in (*entries[name].needs, name) if each == name or each not in there]


def fetch(entry: Entry, listener: ProgressListener) -> Path:
    """Download, check, convert where needed, and install one entry of the catalog; its folder. Raises UserError."""
    registry.check_name(entry.name)
    tracker = ProgressTracker(FETCH, listener)
    with tracker.stage("find", f"Looking for {entry.repo}"):
        files = download.listing(entry.repo, entry.files)
    if entry.kind == "view" and not entry.files[0].endswith(".ckpt"):
        files = _one_precision(files)
    # Only a conversion needs the disk twice; other files keep their place and get a second name.
    extra = entry.installed or sum(file.bytes for file in files if file.cached)
    root = download.download(entry.name, entry.repo, files, entry.sha256, extra, tracker)
    source = root / files[0].name if len(files) == 1 else root
    found, origin = recognize(source), f"{entry.repo} {files[0].revision}"
    folder = _install(found, source, entry.name, origin, entry.terms, entry.polar_of_source, False, True, tracker)
    download.clear(entry.name)
    return folder


def add(path: Path, name: str | None, half: bool, listener: ProgressListener) -> Path:
    """Recognize and install a file or folder, which is copied or converted; its new folder. Raises UserError.

    Without a ``name`` it gets the one of the catalog that has a file of this name, else one made of its own.
    """
    path = path.expanduser().absolute()
    if path.name == "model_index.json":  # what a person finds in the folder that is meant
        path = path.parent
    tracker = ProgressTracker(ADD, listener)
    with tracker.stage("find", f"Looking at {path.name}"):
        found = recognize(path)
    name = name or _name(path, found)
    entry = catalog().get(name)
    if entry is not None and entry.kind != found.kind:
        raise UserError(ErrorCode.BAD_NAME, f"“{name}” is the name of other weights: choose another name for {path}.")
    if found.kind == "matcher" and name != "loftr":
        raise UserError(
            ErrorCode.BAD_NAME, f"{path} holds LoFTR's weights: they are only found under the name “loftr”."
        )
    polar = entry.polar_of_source if entry else bool(_STABLE.search(name) or _STABLE.search(path.name))
    return _install(found, path, name, str(path), entry.terms if entry else "not known", polar, half, False, tracker)


def convert(path: Path, folder: Path, half: bool, listener: ProgressListener) -> None:
    """Write what would be installed into ``folder``, which must not exist. Raises UserError."""
    if folder.exists():
        raise UserError(ErrorCode.BAD_OUTPUT, f"{folder} is there already: choose a folder that is not.")
    found = recognize(path)
    partial = folder.with_name(folder.name + ".partial")
    try:
        partial.mkdir(parents=True)
        _write(found, path, partial, bool(_STABLE.search(path.name)), half, False, ProgressTracker(ADD, listener))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _install(
    found: Format,
    source: Path,
    name: str,
    origin: str,
    license: str,
    polar: bool,
    half: bool,
    take: bool,
    tracker: ProgressTracker,
) -> Path:
    with place(name, found.kind, origin, license) as folder:
        _write(found, source, folder, polar, half, take, tracker)
    return registry.weights_folder() / name


def _write(
    found: Format, source: Path, folder: Path, polar: bool, half: bool, take: bool, tracker: ProgressTracker
) -> None:
    size = 0

    def reserve(count: int) -> None:
        nonlocal size
        size = count
        if not take:
            check_disk(size, folder.parent, f"“{source.name}”")

    def on_progress(fraction: float) -> None:
        tracker.update(fraction, detail=format_bytes(fraction * size, size))

    if source.is_file():
        with tracker.stage("write", f"Reading {source.name}"):
            check_sums(source)
    with tracker.stage("write", f"Writing {source.name}"):
        found.write(Task(source, folder, reserve, on_progress, polar, half, take))
    with tracker.stage("check", "Checking"):
        found.check(folder)
        tracker.update(1.0)
    gc.collect()  # Windows renames no folder while a file in it is mapped


def _name(path: Path, found: Format) -> str:
    for entry in catalog().values():
        if path.is_file() and any(path.name == file.rpartition("/")[2] for file in entry.files):
            return entry.name
    if found.kind in ("matcher", "mask"):
        return "loftr" if found.kind == "matcher" else path.stem
    if found.kind == "surface":
        return SURFACE_OF_PUBLIC_VIEWS
    if path.parent.name == "snapshots":  # the hub's cache
        path = Path(path.parents[1].name.rpartition("--")[2])
    stem = path.stem if path.is_file() else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")


def _one_precision(files: Sequence[HubFile]) -> list[HubFile]:
    """Of a view model's repository: the parts that are loaded, each in the preferred precision."""
    chosen = []
    for folder in VIEW_FOLDERS:
        inside = {file.name.rpartition("/")[2]: file for file in files if file.name.rpartition("/")[0] == folder}
        chosen += [file for name, file in inside.items() if name == "config.json"]
        weights = (inside.get(f"{stem}{variant}.safetensors") for variant in VARIANTS for stem in STEMS)
        chosen += [next(filter(None, weights))] if any(name.endswith(".safetensors") for name in inside) else []
    return chosen

"""Weights from the hub or from disk -> installed, complete and checked, or not at all.

The three ways to change what is installed are ``fetch`` and ``add`` here, and ``registry.remove``.
"""

from __future__ import annotations

import gc
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..io.checkpoint import check_sums
from ..paths import expand_user, weights_folder
from ..progress import ProgressEvent, ProgressListener, ProgressTracker, format_bytes
from ..views.zero123.loading import STEMS, VARIANTS
from . import download
from .catalog import CatalogEntry, load_catalog
from .download import HubFile
from .formats import VIEW_CHECKPOINT, Format, detect_format
from .registry import atomic_install, check_disk_space, check_name, exclusive_weights, installed_weights, sha256
from .resolve import PUBLIC_SURFACE_WEIGHTS
from .writers import WriteTask

FETCH_STAGES = {"find": 1, "download": 80, "write": 17, "check": 2}
ADD_STAGES = {"find": 1, "write": 97, "check": 2}
"""Each stage's usual share of the time."""

_STABLE_ZERO123 = re.compile(r"stable[-_ ]?zero123", re.I)
"""In a name: weights whose fourth pose number differs; nothing inside the files tells."""
VIEW_FOLDERS = ("unet", "vae", "image_encoder", "clip_camera_projection", "cc_projection")


@dataclass(frozen=True)
class InstallRequest:
    """One set of weights to be installed."""

    source: Path
    """A file or a folder on disk."""
    format: Format
    name: str
    origin: str
    """Where the weights came from, for people."""
    license: str
    uses_source_elevation: bool = False
    """View weights: whether the fourth pose number is Stable Zero123's."""
    half: bool = False
    """View checkpoints: whether to round to 16 bits."""
    may_hardlink: bool = False
    """Whether the source's files may be hard linked instead of copied."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the user."""


def resolve_dependencies(name: str) -> list[CatalogEntry]:
    """What a fetch of ``name`` installs, in order: the entries it needs that are not installed yet, then its own.

    Raises UserError (``weights_unknown``, ``bad_name``, ``weights_there``).
    """
    entries = load_catalog()
    if name not in entries:
        known = ", ".join(entry.name for entry in entries.values() if entry.repo)
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN, f"The catalog has no weights named “{name}” to download: choose one of {known}."
        )
    if entries[name].repo is None:
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN,
            f"“{name}” cannot be downloaded automatically: download {entries[name].files[0]} yourself and install that "
            "file.",
            command=f"python3 -m backend weights add {entries[name].files[0]}",
        )
    check_name(name)
    installed = installed_weights()
    return [*(entries[needed] for needed in entries[name].needs if needed not in installed), entries[name]]


def fetch(name: str, listener: ProgressListener) -> list[Path]:
    """Download, check, convert where needed, and install the weights ``name`` of the catalog and those they need.

    Returns the new folders, that of ``name`` last. What was installed before an error stays, and an interrupted
    download is continued by the next call. Raises UserError (``weights_unknown``, ``weights_there``, ``no_network``,
    ``license_not_accepted``, ``download_failed``, ``bad_hash``, ``disk_full``, and those of ``add``); whatever
    ``listener`` raises (``Cancelled``) passes through.
    """
    resolve_dependencies(name)
    with exclusive_weights(_wait_for(ProgressTracker(FETCH_STAGES, listener))):
        entries = resolve_dependencies(name)  # another process may have installed some of them meanwhile
        total = sum(entry.bytes or 0 for entry in entries) or 1
        folders, before = [], 0
        for entry in entries:
            listen = _Portion(listener, before / total, (entry.bytes or 0) / total)
            folders.append(_fetch_entry(entry, ProgressTracker(FETCH_STAGES, listen)))
            before += entry.bytes or 0
        return folders


def _wait_for(tracker: ProgressTracker) -> Callable[[], object]:
    """What to do while another process changes the weights."""

    def wait() -> None:
        with tracker.stage("find", "Waiting: another process is installing or removing weights"):
            time.sleep(0.5)

    return wait


class _Portion:
    """A listener for one of several jobs, which reports its fraction as a portion of them all."""

    def __init__(self, listener: ProgressListener, start: float, share: float):
        self._listener, self._start, self._share = listener, start, share

    def __call__(self, event: ProgressEvent) -> None:
        self._listener(replace(event, fraction=self._start + event.fraction * self._share))


def add(path: Path, name: str | None, half: bool, listener: ProgressListener) -> Path:
    """Recognize and install a file or folder, which is copied or converted. Returns the new folder.

    Without a ``name`` it gets the one of the catalog entry that has a file of this name, else one made of its own.
    ``half`` rounds an original Zero123 checkpoint to 16 bits. Raises UserError (``weights_missing``,
    ``weights_unknown``, ``weights_broken``, ``weights_mismatch``, ``weights_refused``, ``weights_there``,
    ``unsafe_path``, ``bad_name``, ``disk_full``), and then nothing is installed; whatever ``listener`` raises
    (``Cancelled``) passes through.
    """
    path = expand_user(path).absolute()
    if path.name == "model_index.json":  # a file dialog cannot choose the folder, which is meant
        path = path.parent
    tracker = ProgressTracker(ADD_STAGES, listener)
    with tracker.stage("find", f"Recognizing {path.name}"):
        detected = detect_format(path)
    name = name or _default_name(path, detected)
    entry = load_catalog().get(name)
    if entry is not None and entry.kind != detected.kind:
        raise UserError(ErrorCode.BAD_NAME, f"“{name}” is reserved for other weights: choose another name for {path}.")
    required = {"matcher": "loftr", "surface": PUBLIC_SURFACE_WEIGHTS}.get(detected.kind, name)
    if name != required:
        raise UserError(
            ErrorCode.BAD_NAME,
            f"{path} contains weights that are found only by the name “{required}”: install them without --name.",
        )
    stable = bool(_STABLE_ZERO123.search(name) or _STABLE_ZERO123.search(path.name))
    license, notes = entry.terms if entry else "not known", []
    if entry is not None and (expected := entry.sha256.get(path.name)):
        with tracker.stage("find", f"Comparing {path.name} with the published file"):
            is_published = sha256(path) == expected
        if not is_published:
            license = "not known: this is not the published file"
            notes.append(f"{path.name} is not the published file of that name (its sha256 differs).")
    if half and detected is not VIEW_CHECKPOINT:
        notes.append("--half was ignored: it is for an original Zero123 checkpoint only.")
    request = InstallRequest(
        source=path,
        format=detected,
        name=name,
        origin=str(path),
        license=license,
        notes=notes,
        uses_source_elevation=entry.uses_source_elevation if entry else stable,
        half=half,
    )
    with exclusive_weights(_wait_for(tracker)):
        return _install(request, tracker)


def convert(path: Path, folder: Path, half: bool, listener: ProgressListener) -> None:
    """Write what ``add`` would install into ``folder``, which must not exist. Raises UserError."""
    if folder.exists():
        raise UserError(ErrorCode.BAD_OUTPUT, f"{folder} already exists: choose a folder that does not.")
    detected = detect_format(path)
    stable = bool(_STABLE_ZERO123.search(path.name))
    request = InstallRequest(path, detected, folder.name, str(path), "", uses_source_elevation=stable, half=half)
    partial = folder.with_name(folder.name + ".partial")
    try:
        partial.mkdir(parents=True)
        _write(request, partial, ProgressTracker(ADD_STAGES, listener))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch_entry(entry: CatalogEntry, tracker: ProgressTracker) -> Path:
    if entry.repo is None:
        raise UserError(ErrorCode.WEIGHTS_UNKNOWN, f"“{entry.name}” cannot be downloaded: install it from a file.")
    check_name(entry.name)
    with tracker.stage("find", f"Listing {entry.repo}"):
        files = download.list_files(entry.repo, entry.files)
    if entry.kind == "view" and not entry.files[0].endswith(".ckpt"):
        files = _preferred_precision(files)
    if not files:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"The repository {entry.repo} has no view model: fetch other weights."
        )
    # Only a conversion needs the disk twice; other files are hard linked.
    extra = entry.installed_bytes or sum(file.bytes for file in files if file.cached)
    root = download.download(entry, files, extra, tracker)
    source = root / files[0].name if len(files) == 1 else root
    request = InstallRequest(
        source=source,
        format=detect_format(source),
        name=entry.name,
        origin=f"{entry.repo} {files[0].revision}",
        license=entry.terms,
        uses_source_elevation=entry.uses_source_elevation,
        may_hardlink=True,
    )
    folder = _install(request, tracker)
    download.remove_downloads(entry.name)
    return folder


def _install(request: InstallRequest, tracker: ProgressTracker) -> Path:
    with atomic_install(request.name, request.format.kind, request.origin, request.license, request.notes) as folder:
        _write(request, folder, tracker)
    return weights_folder() / request.name


def _write(request: InstallRequest, folder: Path, tracker: ProgressTracker) -> None:
    """Write the weights into ``folder``, new and empty, and load them once."""
    source, size = request.source, 0

    def reserve(count: int) -> None:
        nonlocal size
        size = count
        if not request.may_hardlink:
            check_disk_space(size, folder.parent, f"“{source.name}”")

    def on_progress(fraction: float) -> None:
        tracker.update(fraction, detail=format_bytes(fraction * size, size))

    if source.is_file():
        with tracker.stage("write", f"Reading {source.name}"):
            check_sums(source)
    with tracker.stage("write", f"Writing {source.name}"):
        request.format.write(
            WriteTask(
                source,
                folder,
                reserve,
                on_progress,
                uses_source_elevation=request.uses_source_elevation,
                half=request.half,
                may_hardlink=request.may_hardlink,
                notes=request.notes,
            )
        )
    with tracker.stage("check", "Checking"):
        try:
            request.format.check(folder)
        except UserError as error:  # the user knows the source, and this folder is gone at the end
            raise UserError(error.code, str(error).replace(str(folder), str(source))) from error
        tracker.update(1.0)
    if sys.platform == "win32":
        gc.collect()  # it renames no folder while a file in it is mapped


def _default_name(path: Path, detected: Format) -> str:
    for entry in load_catalog().values():
        if path.is_file() and any(path.name == file.rpartition("/")[2] for file in entry.files):
            return entry.name
    if detected.kind in ("matcher", "mask"):
        return "loftr" if detected.kind == "matcher" else path.stem
    if detected.kind == "surface":
        return PUBLIC_SURFACE_WEIGHTS
    if path.parent.name == "snapshots":  # the hub's cache
        path = Path(path.parents[1].name.rpartition("--")[2])
    stem = path.stem if path.is_file() else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")


def _preferred_precision(files: Sequence[HubFile]) -> list[HubFile]:
    """Of a view model's repository: the components that are loaded, each in the preferred precision."""
    chosen = []
    for folder in VIEW_FOLDERS:
        inside = {file.name.rpartition("/")[2]: file for file in files if file.name.rpartition("/")[0] == folder}
        chosen += [file for name, file in inside.items() if name == "config.json"]
        candidates = (inside.get(f"{stem}{variant}.safetensors") for variant in VARIANTS for stem in STEMS)
        preferred = next(filter(None, candidates), None)
        chosen += [preferred] if preferred else []
    return chosen

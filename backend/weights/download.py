"""Files of a model hub's repository -> files on this computer, through huggingface_hub.

Its own environment variables hold here: HF_ENDPOINT (a mirror), HF_HUB_OFFLINE, HF_TOKEN, HF_HOME. What its cache has
is taken from there; what is downloaded goes straight to the weights, so that no disk is needed twice. A download that
was interrupted is continued, also by another run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from ..errors import ErrorCode, UserError
from ..progress import ProgressTracker, format_bytes
from .registry import DOWNLOADS, check_disk, copy, sha256, weights_folder

UNREACHABLE = (OfflineModeIsEnabled, httpx2.TransportError, ConnectionError)


@dataclass(frozen=True)
class HubFile:
    """One file of a repository."""

    name: str
    """Its path there."""
    bytes: int
    sha256: str | None
    """None for small files, which the hub does not hash."""
    revision: str
    """The commit it was listed in."""
    cached: Path | None
    """Where huggingface_hub's own cache has it."""


def listing(repo: str, patterns: Sequence[str]) -> list[HubFile]:
    """The files of ``repo`` that match any of ``patterns``; without a connection, those that the cache has.

    Raises UserError.
    """
    try:
        info = HfApi().model_info(repo, files_metadata=True)
    except UNREACHABLE as error:
        return _cached_listing(repo, patterns, error)
    except (HfHubHTTPError, ValueError) as error:
        raise _explain(repo, error) from error
    files = []
    for each in info.siblings or []:
        if any(fnmatch(each.rfilename, pattern) for pattern in patterns):
            cached = try_to_load_from_cache(repo, each.rfilename, revision=info.sha)
            files.append(
                HubFile(
                    each.rfilename,
                    each.size or 0,
                    each.lfs.sha256 if each.lfs else None,
                    info.sha,
                    Path(cached) if isinstance(cached, str) else None,
                )
            )
    if not files:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The repository {repo} has none of the files that are needed: {', '.join(patterns)}.",
        )
    return files


def _cached_listing(repo: str, patterns: Sequence[str], cause: Exception) -> list[HubFile]:
    try:
        folder = Path(snapshot_download(repo, allow_patterns=list(patterns), local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise _no_network(repo) from error
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files = [
        HubFile(name, path.stat().st_size, None, folder.name, path)
        for name, path in paths.items()
        if any(fnmatch(name, pattern) for pattern in patterns)
    ]
    if not files:
        raise _no_network(repo) from cause
    return files


def download(
    name: str,
    repo: str,
    files: Sequence[HubFile],
    hashes: dict[str, str],
    extra: int,
    tracker: ProgressTracker,
) -> Path:
    """A folder that holds all ``files``, checked: of the cache where it has them all, else the downloads of ``name``.

    ``hashes`` (file -> sha256) go before what the hub states; ``extra`` bytes are needed on the disk afterwards.
    Runs as the tracker's stage ``download``. Raises UserError; a file with a wrong hash is deleted.
    """
    folder = weights_folder() / DOWNLOADS / name / files[0].revision
    if all(file.cached for file in files):
        folder = files[0].cached.parents[files[0].name.count("/")]
    missing = [file for file in files if not (folder / file.name).is_file()]
    waiting = [_incomplete(folder / file.name) for file in missing]
    there = sum(path.stat().st_size for path in waiting if path.is_file())
    weights_folder().mkdir(parents=True, exist_ok=True)
    check_disk(sum(file.bytes for file in missing) - there + extra, weights_folder(), f"“{name}”")
    total, before = sum(file.bytes for file in files) or 1, 0
    for file in files:
        path = folder / file.name
        if file in missing and file.cached:
            copy(file.cached, path, lambda _: None, link=True)
        elif file in missing:
            with tracker.stage("download", f"Downloading {file.name}"):
                _download(repo, file, path, partial(_advance, tracker, before, total))
        if wanted := hashes.get(file.name) or file.sha256:
            with tracker.stage("download", f"Checking {file.name}"):
                _check(path, wanted, repo, file)
        before += file.bytes
    return folder


def _advance(tracker: ProgressTracker, before: int, total: int, done: int) -> None:
    tracker.update((before + done) / total, detail=format_bytes(before + done, total))


def clear(name: str) -> None:
    """Delete what was downloaded for ``name``."""
    downloads = weights_folder() / DOWNLOADS
    shutil.rmtree(downloads / name, ignore_errors=True)
    with contextlib.suppress(OSError):  # others wait there too, or there is none
        downloads.rmdir()


def _incomplete(path: Path) -> Path:
    return path.with_name(path.name + ".incomplete")


def _download(repo: str, file: HubFile, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Continue or begin the download of one file."""
    incomplete = _incomplete(path)
    incomplete.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(repo, file.name, revision=file.revision)
    try:
        about = get_hf_file_metadata(url)
        with open(incomplete, "ab") as target:
            start = target.tell()
            if about.size is not None and start > about.size:  # left by another version of the file
                start = target.truncate(0)
            http_get(
                url,
                target,
                resume_size=start,
                headers=build_hf_headers(),
                expected_size=about.size,
                tqdm_class=_counter(on_bytes),
            )
        incomplete.replace(path)
    except UNREACHABLE as error:
        raise UserError(
            ErrorCode.NO_NETWORK,
            f"The connection to the model hub broke while {file.name} of {repo} was downloaded: fetch it again; it "
            "goes on where it stopped.",
        ) from error
    except (HfHubHTTPError, ValueError) as error:
        raise _explain(repo, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        incomplete.unlink(missing_ok=True)
        raise UserError(
            ErrorCode.DOWNLOAD_FAILED, f"{file.name} of {repo} arrived incomplete and was deleted: try again."
        ) from error


def _counter(on_bytes: Callable[[int], None]) -> type:
    """What huggingface_hub takes for a progress bar."""

    class Counter:
        def __init__(self, *_, initial: int = 0, **__):
            self.done = initial
            on_bytes(self.done)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, count: int = 1) -> None:
            self.done += count
            on_bytes(self.done)

    return Counter


def _check(path: Path, wanted: str, repo: str, file: HubFile) -> None:
    if sha256(path) == wanted:
        return
    path.resolve().unlink(missing_ok=True)  # in the cache, the name is a link to the content
    path.unlink(missing_ok=True)
    raise UserError(
        ErrorCode.BAD_HASH,
        f"{file.name} of {repo} is not the file it should be (its sha256 differs) and was deleted: a mirror or a "
        "proxy may have changed it; try again.",
    )


def _no_network(repo: str) -> UserError:
    return UserError(
        ErrorCode.NO_NETWORK,
        f"The model hub could not be reached for {repo}, and this computer does not have its files: check the "
        "connection and huggingface_hub's variables (HF_ENDPOINT, HF_HUB_OFFLINE), or use “weights add” with a file.",
    )


def _explain(repo: str, error: Exception) -> UserError:
    if isinstance(error, GatedRepoError):
        return UserError(
            ErrorCode.LICENSE_NOT_ACCEPTED,
            f"{repo} wants its license accepted: do so on the page of the model, then sign in (HF_TOKEN).",
        )
    if isinstance(error, RepositoryNotFoundError):
        return UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The model hub has no repository {repo}, or it is not open to you: check the name, or sign in (HF_TOKEN).",
        )
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else "an answer that makes no sense"
    return UserError(
        ErrorCode.DOWNLOAD_FAILED,
        f"The model hub answered {status} for {repo}: try again later, or use a mirror (HF_ENDPOINT).",
    )

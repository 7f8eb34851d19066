"""Files of a model hub's repository -> files on this computer, through huggingface_hub.

Its own environment variables are respected: HF_ENDPOINT (a mirror), HF_HUB_OFFLINE, HF_TOKEN, HF_HOME. Files in its
cache are used from there; downloads go to the weights folder, so that the disk is not needed twice. An interrupted
download is continued by the next call, also in another process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

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
from ..paths import safe_join, weights_folder
from ..progress import ProgressTracker, format_bytes, ignore_progress
from .catalog import CatalogEntry
from .registry import DOWNLOADS, check_disk_space, copy_file, sha256

UNREACHABLE = (OfflineModeIsEnabled, httpx2.TransportError, ConnectionError)


@dataclass(frozen=True)
class HubFile:
    """One file of a repository."""

    name: str
    """Its path in the repository: plain relative components (``paths.safe_join``)."""
    bytes: int
    sha256: str | None
    """None for small files, which the hub does not hash."""
    revision: str
    """The commit it was listed in, a plain file name."""
    cached: Path | None
    """Its path in huggingface_hub's own cache, if it is there."""


def list_files(repo: str, patterns: Sequence[str]) -> list[HubFile]:
    """The files of ``repo`` that match any of ``patterns``; without a connection, those that the cache has.

    Raises UserError (``no_network``, ``license_not_accepted``, ``weights_missing``, ``download_failed``,
    ``unsafe_path`` for a name or a commit that the hub should not have sent).
    """
    try:
        info = HfApi().model_info(repo, files_metadata=True)
    except UNREACHABLE as error:
        return _list_cached_files(repo, patterns, error)
    except (HfHubHTTPError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _hub_error(repo, error) from error
    commit = _checked_commit(repo, info.sha)
    try:
        listed = [_listed_file(repo, commit, sibling, patterns) for sibling in info.siblings or []]
    except (TypeError, AttributeError, ValueError) as error:  # an answer may hold anything
        raise _hub_error(repo, error) from error
    files = [file for file in listed if file is not None]
    if not files:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The repository {repo} has none of the required files ({', '.join(patterns)}): check its name.",
        )
    return files


def _listed_file(repo: str, commit: str, sibling: Any, patterns: Sequence[str]) -> HubFile | None:
    """One file of a hub's answer; None for one that is not wanted. Raises TypeError, ValueError and UserError."""
    name, size, digest = sibling.rfilename, sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None
    if not isinstance(name, str) or type(size) is not int or size < 0:
        raise TypeError("name or size")
    if not any(fnmatch(name, pattern) for pattern in patterns):
        return None
    if digest is not None and not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
        raise ValueError("sha256")
    safe_join(weights_folder() / DOWNLOADS, name)
    cached = try_to_load_from_cache(repo, name, revision=commit)
    return HubFile(name, size, digest, commit, Path(cached) if isinstance(cached, str) else None)


def _checked_commit(repo: str, commit: str | None) -> str:
    if not isinstance(commit, str) or not re.fullmatch("[0-9a-f]{40,64}", commit):
        raise _hub_error(repo, ValueError("no commit"))
    return commit


def _list_cached_files(repo: str, patterns: Sequence[str], cause: Exception) -> list[HubFile]:
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


def download(entry: CatalogEntry, files: Sequence[HubFile], extra: int, tracker: ProgressTracker) -> Path:
    """A folder that holds all ``files`` of the entry's repository, checked: the cache where it has them all, else the
    folder of the entry's downloads.

    The entry's own hashes are preferred to those that the hub states; ``extra`` bytes of disk are needed afterwards.
    Runs as the tracker's stage ``download``. Raises UserError (``disk_full``, ``no_network``,
    ``download_failed``, ``bad_hash``: then the file is deleted).
    """
    repo = str(entry.repo)
    folder = safe_join(weights_folder() / DOWNLOADS / entry.name, files[0].revision)
    cached = [file.cached for file in files if file.cached]
    if len(cached) == len(files):
        folder = cached[0].parents[files[0].name.count("/")]
    missing = [file for file in files if not (folder / file.name).is_file()]
    incomplete = [_incomplete(folder / file.name) for file in missing]
    present = sum(path.stat().st_size for path in incomplete if path.is_file())
    weights_folder().mkdir(parents=True, exist_ok=True)
    needed = sum(file.bytes for file in missing) - present + extra
    check_disk_space(needed, weights_folder(), f"“{entry.name}”")
    total, before = sum(file.bytes for file in files) or 1, 0
    for file in files:
        path = folder / file.name
        if file in missing:
            path = safe_join(folder, file.name)
            if file.cached:
                copy_file(file.cached, path, ignore_progress, hardlink=True)
            else:
                with tracker.stage("download", f"Downloading {file.name}"):
                    _download(repo, file, path, partial(_advance, tracker, before, total))
        if expected := entry.sha256.get(file.name) or file.sha256:
            with tracker.stage("download", f"Checking {file.name}"):
                _check_hash(path, expected, repo, file)
        before += file.bytes
    return folder


def _advance(tracker: ProgressTracker, before: int, total: int, done: int) -> None:
    tracker.update((before + done) / total, detail=format_bytes(before + done, total))


def remove_downloads(name: str) -> None:
    """Delete what was downloaded for the weights ``name``."""
    downloads = weights_folder() / DOWNLOADS
    shutil.rmtree(downloads / name, ignore_errors=True)
    with contextlib.suppress(OSError):  # it is not empty, or does not exist
        downloads.rmdir()


def _incomplete(path: Path) -> Path:
    return path.with_name(path.name + ".incomplete")


def _download(repo: str, file: HubFile, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Begin or continue the download of one file; ``on_bytes`` gets the bytes that are there. Raises UserError."""
    incomplete = _incomplete(path)
    incomplete.parent.mkdir(parents=True, exist_ok=True)
    url = hf_hub_url(repo, file.name, revision=file.revision)
    try:
        metadata = get_hf_file_metadata(url)
        with open(incomplete, "ab") as target:
            start = target.tell()
            if metadata.size is not None and start > metadata.size:  # of another version of the file
                start = target.truncate(0)
            http_get(
                url,
                target,
                resume_size=start,
                headers=build_hf_headers(),
                expected_size=metadata.size,
                tqdm_class=_counter(on_bytes),
            )
        incomplete.replace(path)
    except UNREACHABLE as error:
        raise UserError(
            ErrorCode.NO_NETWORK,
            f"The connection to the model hub was lost while downloading {file.name} of {repo}: fetch it again; it "
            "continues where it stopped.",
        ) from error
    except (HfHubHTTPError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _hub_error(repo, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        incomplete.unlink(missing_ok=True)
        raise UserError(
            ErrorCode.DOWNLOAD_FAILED, f"{file.name} of {repo} arrived incomplete and was deleted: try again."
        ) from error


def _counter(on_bytes: Callable[[int], None]) -> type:
    """A class that huggingface_hub takes for tqdm's progress bar, which reports the bytes done."""

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


def _check_hash(path: Path, expected: str, repo: str, file: HubFile) -> None:
    if sha256(path) == expected:
        return
    path.resolve().unlink(missing_ok=True)  # in the cache, the path is a link to the content
    path.unlink(missing_ok=True)
    raise UserError(
        ErrorCode.BAD_HASH,
        f"{file.name} of {repo} does not have the expected sha256 and was deleted: a mirror or a "
        "proxy may have changed it; try again.",
    )


def _no_network(repo: str) -> UserError:
    return UserError(
        ErrorCode.NO_NETWORK,
        f"The model hub could not be reached for {repo}, and its files are not in the local cache: check the "
        "connection and huggingface_hub's variables (HF_ENDPOINT, HF_HUB_OFFLINE), or install a file.",
    )


def _hub_error(repo: str, error: Exception) -> UserError:
    if isinstance(error, GatedRepoError):
        return UserError(
            ErrorCode.LICENSE_NOT_ACCEPTED,
            f"{repo} requires you to accept its license: do so on the model's page, then sign in (HF_TOKEN).",
        )
    if isinstance(error, RepositoryNotFoundError):
        return UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The model hub has no repository {repo}, or you have no access to it: check the name, or sign in "
            "(HF_TOKEN).",
        )
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else "nonsense"
    return UserError(
        ErrorCode.DOWNLOAD_FAILED,
        f"The model hub answered {status} for {repo}: try again later, or use a mirror (HF_ENDPOINT).",
    )

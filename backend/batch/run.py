"""A batch from its beginning to its end: which pictures are left, their outcomes, manifest, index and progress."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from ..errors import ErrorCode, UserError, printable
from ..options import Options
from ..paths import expand_user
from ..progress import ProgressTracker, TerminalProgress
from . import cluster, local
from .index import INDEX, Index
from .job import Job, Known, Outcome, Task
from .manifest import MANIFEST, Entry, append_entry, resume_entries
from .pictures import Picture, find_pictures
from .results import ResultNames
from .storage import Storage, is_remote, open_storage

_ENGINES = {"local": local.process, "ray": cluster.process}


def run(
    source: str, place: str, options: Options, *, engine: str, workers: int | None, resume: bool, force: bool
) -> int:
    """Turn all pictures of ``source`` into meshes in ``place``; the exit status: 1 where a picture failed, else 0.

    ``resume``: pictures that an earlier run listed there are left out, whatever ended it. Raises UserError for what
    would end every other picture too; what is done by then is listed, and ``resume`` goes on with the rest.
    """
    if engine == "ray":
        cluster.require_ray()
    options = _with_absolute_weights(options)
    pictures = find_pictures(source, place)
    if not pictures:
        raise UserError(ErrorCode.BAD_OPTION, f"There is no image in {printable(source)}: choose another folder.")
    storage = open_storage(place)
    with storage.held():
        there = frozenset(storage.names())
        if MANIFEST in there and not resume:
            raise UserError(
                ErrorCode.BAD_OUTPUT,
                f"There is a {MANIFEST} of an earlier run in {printable(place)}: go on with --resume, or choose "
                "another folder with --out.",
            )
        names = ResultNames(storage, there, force, _inputs(pictures))
        state = _State(storage, Index(storage, there, force), names)
        state.read(options.to_dict())
        job = Job(place, options, force, state.known)
        tasks = (Task(picture.source, state.names.choose(picture.name)) for picture in pictures)
        try:
            with closing(_ENGINES[engine](tasks, job, workers)) as outcomes:
                _follow(outcomes, state, len(pictures))
        finally:
            state.index.renew(is_running=False)
    print(f"{len(pictures)} pictures: {state.made} new, {state.skipped} there already, {state.failed} failed")
    print(printable(storage.address(INDEX)))
    print(printable(storage.address(MANIFEST)))
    return 1 if state.failed else 0


@dataclass
class _State:
    """What a batch has done so far."""

    storage: Storage
    index: Index
    names: ResultNames
    known: dict[str, Entry] = field(default_factory=dict)
    """The entry of each content that has a result with these options, by its sha256."""
    listed: set[tuple[str, str]] = field(default_factory=set)
    """Source and sha256 of these."""
    made: int = 0
    skipped: int = 0
    failed: int = 0

    def read(self, options: dict) -> None:
        """Take over what an earlier run has listed. Raises UserError (``bad_output``)."""
        for entry in resume_entries(self.storage):
            self.index.add(entry)
            self.names.take(entry.files.values())
            if entry.options == options and entry.sha256:
                self._remember(replace(entry, options=options), entry.sha256)  # one object for all

    def add(self, outcome: Outcome) -> None:
        """List one outcome: in the manifest first."""
        if isinstance(outcome, Known):
            self.skipped += 1
            if (outcome.source, outcome.sha256) in self.listed:
                return
            outcome = replace(self.known[outcome.sha256], input=outcome.source, seconds=0.0)  # a copy, or moved
        elif outcome.error is None:
            self.made += 1
        else:
            self.failed += 1
        append_entry(self.storage, outcome)
        self.index.add(outcome)
        if outcome.error is None and outcome.sha256:
            self._remember(outcome, outcome.sha256)

    def _remember(self, entry: Entry, sha256: str) -> None:
        self.known.setdefault(sha256, entry)
        self.listed.add((entry.input, sha256))


def _follow(outcomes: Iterator[Outcome], state: _State, total: int) -> None:
    """List the outcomes as they come, and show how far the batch is."""
    tracker = ProgressTracker({"pictures": 1}, TerminalProgress())
    started = time.monotonic()
    with tracker.stage("pictures", f"Turning {total} pictures into meshes"):
        for outcome in outcomes:
            state.add(outcome)
            state.index.renew()
            worked = state.made + state.failed
            done = worked + state.skipped
            seconds = (time.monotonic() - started) / worked * (total - done) if worked else None
            tracker.update(done / total, detail=_describe(done, state.failed, seconds))


def _describe(done: int, failed: int, seconds: float | None) -> str:
    parts = [f"{done} done", f"{failed} failed" if failed else ""]
    if seconds:
        unit, size = next((unit, size) for unit, size in _UNITS if seconds >= size or size == 1)
        parts.append(f"about {seconds / size:.0f} {unit} left")
    return ", ".join(filter(None, parts))


_UNITS = (("h", 3600 * 3), ("min", 60 * 3), ("s", 1))


def _inputs(pictures: list[Picture]) -> Iterator[str]:
    """The places of all pictures, with links to folders resolved."""
    resolve = functools.cache(os.path.realpath)
    for picture in pictures:
        folder, name = os.path.split(picture.source)
        yield picture.source if is_remote(picture.source) else os.path.join(resolve(folder), name)


def _with_absolute_weights(options: Options) -> Options:
    """A folder of weights as every worker finds it, wherever it runs."""
    folder = expand_user(options.weights)
    is_folder = options.weights != "starter" and folder.is_dir()
    return replace(options, weights=os.path.abspath(folder)) if is_folder else options

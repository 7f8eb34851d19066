"""The engine ``local``: backend processes on this computer, each with the networks loaded once."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ..client import Backend
from ..device import choose_device
from ..errors import ErrorCode, UserError, to_user_error
from ..paths import PARTIAL, data_folder, remove_any
from ..protocol import Failure, Progress, Result
from .job import CORES_PER_WORKER, FATAL, Job, Known, Outcome, Task, hash_image
from .manifest import Entry, failed
from .results import publish
from .storage import LocalStorage

_POLL_INTERVAL = 0.05
"""Seconds."""
_THREADS = "OMP_NUM_THREADS"
_CARDS = "CUDA_VISIBLE_DEVICES"


def process(tasks: Iterator[Task], job: Job, workers: int | None) -> Generator[Outcome, None, None]:
    """Turn pictures into meshes, with ``workers`` processes; one outcome for each, in the order of their ends.

    Without ``workers`` there is one for each GPU, else one for ``CORES_PER_WORKER`` cores. A process that dies is
    started again and its picture tried once more. Raises UserError with a code of ``FATAL``. Close this generator to
    end the processes.
    """
    storage = LocalStorage(Path(os.path.abspath(job.place)))
    remove_any(storage.root / PARTIAL)  # of a run that was killed
    variables = _worker_variables(choose_device(job.options.device).type, workers)
    pool = [_Worker(number, job, storage, each) for number, each in enumerate(variables, 1)]
    try:
        for worker in pool:
            yield from worker.begin(tasks)
        while busy := [worker for worker in pool if worker.is_busy]:
            for worker in busy:
                if finish := worker.poll():
                    yield from worker.begin(tasks)  # first, so that it does not wait for the disk
                    yield finish()
            time.sleep(_POLL_INTERVAL)
    finally:
        with ThreadPoolExecutor(len(pool)) as threads:  # each may take seconds to end
            list(threads.map(_Worker.close, pool))
        remove_any(storage.root / PARTIAL)


def _worker_variables(device: str, workers: int | None) -> list[dict[str, str]]:
    """The environment variables of each worker: its GPU, and its share of the cores."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    cards = []
    if device == "cuda":
        chosen = os.environ.get(_CARDS)
        cards = chosen.split(",") if chosen else [str(number) for number in range(torch.cuda.device_count())]
    default = {"cuda": len(cards), "mps": 1}.get(device) or max(1, cores // CORES_PER_WORKER)
    count = workers or default
    threads = {_THREADS: os.environ.get(_THREADS) or str(max(1, cores // count))}
    return [threads | ({_CARDS: cards[number % len(cards)]} if cards else {}) for number in range(count)]


@dataclass(frozen=True)
class _Attempt:
    """A picture that a worker has got, and where its job's files go."""

    task: Task
    sha256: str
    folder: Path
    started: float
    is_second: bool = False


class _Worker:
    """A backend process, which is started when its first picture comes and again when it has died."""

    def __init__(self, number: int, job: Job, storage: LocalStorage, variables: dict[str, str]):
        self._job = job
        self._storage = storage
        self._variables = variables
        self._options = job.options.to_dict()
        self._log = data_folder() / "logs" / f"batch-{number}.log"
        self._folders = (storage.root / PARTIAL / f"{number}-{count}" for count in itertools.count())
        self._backend: Backend | None = None
        self._attempt: _Attempt | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it has got a picture."""
        return self._attempt is not None

    def begin(self, tasks: Iterator[Task]) -> Iterator[Outcome]:
        """Begin with the next picture that has to be made; the outcomes of those before it."""
        for task in tasks:
            started = time.monotonic()
            try:
                sha256 = hash_image(task.source)
            except (UserError, OSError) as error:
                yield self._failed(error, task, None, started)
                continue
            if sha256 in self._job.known:
                yield Known(task.source, sha256)
                continue
            self._submit(_Attempt(task, sha256, next(self._folders), started))
            return

    def poll(self) -> Callable[[], Outcome] | None:
        """What gives the picture's outcome, once it has ended. Never waits; the worker is free then."""
        assert self._backend is not None and self._attempt is not None  # as after ``begin``
        end = next((event for event in self._backend.poll() if not isinstance(event, Progress)), None)
        attempt = self._attempt
        if isinstance(end, Failure) and end.error.code == ErrorCode.WORKER_CRASHED:
            if self._backend.hello is None:  # not a picture's fault
                raise end.error
            if not attempt.is_second:
                self._submit(replace(attempt, folder=next(self._folders), is_second=True))
                return None
        if end is None:
            return None
        self._attempt = None
        return partial(self._finish, attempt, end)

    def close(self) -> None:
        """End the process. An unfinished picture leaves nothing."""
        if self._backend is not None:
            self._backend.close()

    def _submit(self, attempt: _Attempt) -> None:
        if self._backend is None or not self._backend.alive:
            self.close()
            self._backend = Backend(sys.executable, self._log, self._variables)
        attempt.folder.mkdir(parents=True)
        self._backend.generate(attempt.task.source, attempt.folder, self._options)
        self._attempt = attempt

    def _finish(self, attempt: _Attempt, end: Result | Failure) -> Outcome:
        task, sha256, started = attempt.task, attempt.sha256, attempt.started
        try:
            if isinstance(end, Failure):
                raise end.error
            files = publish(attempt.folder, task.name, self._storage, self._job.force)
        except (UserError, OSError) as error:
            return self._failed(error, task, sha256, started)
        finally:
            remove_any(attempt.folder)
        seconds = round(time.monotonic() - started, 3)
        return Entry(task.source, sha256, self._options, files, seconds, end.value["report"]["warnings"])

    def _failed(self, error: Exception, task: Task, sha256: str | None, started: float) -> Entry:
        problem = to_user_error(error, str(self._log))
        if problem.code in FATAL:
            raise problem
        return failed(task.source, sha256, self._options, time.monotonic() - started, problem)

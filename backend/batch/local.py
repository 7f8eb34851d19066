"""The engine ``local``: backend processes on this computer, each with the networks loaded once."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    pool = [_Worker(number, job, storage, each) for number, each in enumerate(variables)]
    try:
        while True:
            for worker in pool:
                while worker.task is None and (task := next(tasks, None)):
                    if outcome := worker.start(task):
                        yield outcome
            busy = [worker for worker in pool if worker.task]
            if not busy:
                return
            for worker in busy:
                if outcome := worker.poll():
                    yield outcome
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


class _Worker:
    """A backend process, which is started when its first picture comes and again when it has died."""

    def __init__(self, number: int, job: Job, storage: LocalStorage, variables: dict[str, str]):
        self.task: Task | None = None
        self._job = job
        self._storage = storage
        self._variables = variables
        self._options = job.options.to_dict()
        self._log = data_folder() / "logs" / f"batch-{number + 1}.log"
        self._folder = storage.root / PARTIAL / str(number + 1)
        self._backend: Backend | None = None
        self._sha256: str | None = None
        self._request = 0
        self._started = 0.0
        self._is_second_try = False

    def start(self, task: Task) -> Outcome | None:
        """Begin with a picture; its outcome where there is nothing to be done or to be read."""
        self._started = time.monotonic()
        self._sha256 = None
        try:
            self._sha256 = hash_image(task.source)
        except (UserError, OSError) as error:
            self.task = task
            return self._fail(error)
        if self._sha256 in self._job.known:
            return Known(task.source, self._sha256)
        self.task = task
        self._is_second_try = False
        self._submit(task)
        return None

    def poll(self) -> Outcome | None:
        """The picture's outcome, once there is one. Never waits."""
        assert self._backend is not None and self.task is not None  # as after ``start``
        end = next((event for event in self._backend.poll() if not isinstance(event, Progress)), None)
        if isinstance(end, Result):
            return self._finish(self.task, end.value["report"]["warnings"])
        if isinstance(end, Failure):
            if end.error.code != ErrorCode.WORKER_CRASHED:
                return self._fail(end.error)
            if self._backend.hello is None:  # not a picture's fault
                raise end.error
            if self._is_second_try:
                return self._fail(end.error)
            self._is_second_try = True
            self._submit(self.task)
        return None

    def close(self) -> None:
        """End the process. An unfinished picture leaves nothing."""
        if self._backend is not None:
            self._backend.close()

    def _submit(self, task: Task) -> None:
        if self._backend is None or not self._backend.alive:
            self.close()
            self._backend = Backend(sys.executable, self._log, self._variables)
        remove_any(self._folder)
        self._folder.mkdir(parents=True)
        self._request = self._backend.generate(task.source, self._folder, self._options)

    def _finish(self, task: Task, warnings: list[str]) -> Outcome:
        try:
            files = publish(self._folder, task.name, self._storage, self._job.force)
        except (UserError, OSError) as error:
            return self._fail(error)
        seconds = round(time.monotonic() - self._started, 3)
        self.task = None
        return Entry(task.source, self._sha256, self._options, files, seconds, warnings)

    def _fail(self, error: Exception) -> Entry:
        assert self.task is not None
        problem = to_user_error(error, str(self._log))
        if problem.code in FATAL:
            raise problem
        task, self.task = self.task, None
        return failed(task.source, self._sha256, self._options, time.monotonic() - self._started, problem)

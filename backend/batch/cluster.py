"""The engine ``ray``: actors on a Ray cluster, which Ray places, and starts again where they have died."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..allocator import keep_freed_memory
from ..errors import ErrorCode, UserError, printable, to_user_error
from ..library_variables import set_library_variables
from ..options import Options
from ..progress import ignore_progress
from .job import CORES_PER_WORKER, FATAL, Job, Known, Outcome, Task, hash_image
from .manifest import Entry, failed
from .results import publish
from .storage import file_system, is_remote, open_storage

_log = logging.getLogger(__name__)
TRIES = 3
"""Of a picture whose worker dies, which may be the fault of its node."""
_PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds this package: on every node the same."""


def require_ray() -> None:
    """Raises UserError (``bad_option``) where Ray is not installed."""
    if find_spec("ray") is None:
        raise UserError(
            ErrorCode.BAD_OPTION,
            "Ray is not installed: add it to the backend's environment.",
            command="python3 -m backend setup --cluster",
        )


def process(tasks: Iterator[Task], job: Job, workers: int | None) -> Generator[Outcome, None, None]:
    """Turn pictures into meshes, with ``workers`` actors; one outcome for each, in the order of their ends.

    Without ``workers`` there is one for each GPU of the cluster, else one for ``CORES_PER_WORKER`` cores. The cluster
    is the one of the variable RAY_ADDRESS, or that of this computer, or a new one of this computer alone. An actor that
    dies, or whose node does, is started again wherever there is room, and its picture goes to another one. Raises
    UserError with a code of ``FATAL``, or ``no_backend`` where an actor cannot be started. Close this generator to end
    the actors.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to Ray's makers
    import ray

    ray.init(runtime_env={"env_vars": {"PYTHONPATH": str(_PACKAGES)}}, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield from _run(tasks, job, _start_actors(job, workers))
    finally:
        ray.shutdown()


def _start_actors(job: Job, workers: int | None) -> list:
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cards = 0 if job.options.device == "cpu" else int(sum(node.get("GPU", 0) for node in nodes))
    cores = CORES_PER_WORKER if any(node.get("CPU", 0) >= CORES_PER_WORKER for node in nodes) and not cards else 1
    count = workers or cards or max(1, int(sum(node.get("CPU", 0) // cores for node in nodes)))
    actor = ray.remote(_Maker).options(num_cpus=cores, num_gpus=min(1, cards / count), max_restarts=-1)
    return [actor.remote(job.place, job.options, job.force) for _ in range(count)]


def _run(tasks: Iterator[Task], job: Job, actors: list) -> Iterator[Outcome]:
    """Give every actor that is ready the next picture.

    A picture whose actor died goes to another one: Ray's own retries go to the same one, and are used up before it is
    known that a node has gone.
    """
    import ray

    running: dict[Any, tuple[Any, Task | None]] = {_when_ready(actor): (actor, None) for actor in actors}
    idle, lost, losses = [], [], Counter()
    known = ray.put(frozenset(job.known))
    outcome: Outcome | None = None
    while True:
        while idle and (task := lost.pop() if lost else next(tasks, None)):
            actor = idle.pop()
            running[actor.make.remote(task, [known])] = actor, task
        if outcome is not None:
            yield _checked(outcome)
        if idle and not any(task for _, task in running.values()):
            return
        (reference,), _ = ray.wait(list(running), num_returns=1)
        actor, task = running.pop(reference)
        outcome = None
        try:
            outcome = ray.get(reference) if task else None
            idle.append(actor)
        except ray.exceptions.RayError as error:
            if task is None and isinstance(error, ray.exceptions.ActorDiedError):
                raise UserError(ErrorCode.NO_BACKEND, f"A worker could not be started: {_last_line(error)}") from error
            running[_when_ready(actor)] = actor, None
            if task is not None:
                losses[task] += 1
                if losses[task] < TRIES:
                    lost.append(task)
                else:
                    outcome = _lost(task, job, error)


def _when_ready(actor: Any) -> Any:
    """A reference that is there when the actor runs, wherever Ray starts it again meanwhile."""
    return actor.__ray_ready__.options(max_task_retries=-1).remote()


def _checked(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Entry) and outcome.error and outcome.error["code"] in FATAL:
        raise UserError(ErrorCode(outcome.error["code"]), outcome.error["message"])
    return outcome


def _lost(task: Task, job: Job, error: Exception) -> Entry:
    problem = UserError(
        ErrorCode.WORKER_CRASHED,
        f"The worker died {TRIES} times with this picture ({_last_line(error)}): see Ray's logs, then try --resume.",
    )
    return failed(task.source, None, job.options.to_dict(), 0.0, problem)


def _last_line(error: Exception) -> str:
    return printable(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__)


class _Maker:
    """An actor: makes one mesh at a time, with networks that stay loaded."""

    def __init__(self, place: str, options: Options, force: bool):
        set_library_variables()
        keep_freed_memory()
        from ..pipeline import Pipeline

        self._pipeline = Pipeline()
        self._storage = open_storage(place)
        self._options = options
        self._force = force
        self._known: frozenset[str] = frozenset()

    def make(self, task: Task, known: list) -> Outcome:
        """``known``: a reference to the sha256 of the pictures that are done, in a list, where Ray leaves it alone."""
        import ray

        self._known = self._known or ray.get(known[0])
        started, sha256 = time.monotonic(), None
        try:
            with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
                path = _fetch(task, Path(folder, "picture"))
                sha256 = hash_image(str(path))
                if sha256 in self._known:
                    return Known(task.source, sha256)
                job = Path(folder, "job")
                report = self._pipeline.generate(path, job, self._options, ignore_progress)["report"]
                files = publish(job, task.name, self._storage, self._force)
        except Exception as error:
            _log.exception("failed: %s", task.source)
            return failed(
                task.source, sha256, self._options.to_dict(), time.monotonic() - started, to_user_error(error, None)
            )
        seconds = round(time.monotonic() - started, 3)
        return Entry(task.source, sha256, self._options.to_dict(), files, seconds, report["warnings"])


def _fetch(task: Task, folder: Path) -> Path:
    """The picture as a file of this computer. Raises UserError (``bad_image``)."""
    if not is_remote(task.source):
        return Path(task.source)
    folder.mkdir()
    path = folder / task.name.rpartition("/")[2]
    system, address = file_system(task.source)
    try:
        system.get_file(address, str(path))
    except OSError as error:
        raise UserError(
            ErrorCode.BAD_IMAGE, f"{printable(task.source)} cannot be read ({error}): check the address."
        ) from error
    return path

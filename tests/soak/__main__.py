"""Send many jobs to one backend process: ``python -m tests.soak --jobs 500``. Ends with an error where it grows."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from backend.paths import weights_folder
from tests.helpers.backend_process import ENVIRONMENT
from tests.soak.jobs import KINDS, Workplace, write_sources
from tests.soak.server import Holdings, Server

WARM_UP = 0.3
"""Share of the jobs before the measurement: libraries, caches and the memory's arenas fill up at first."""
TOLERANCE = Holdings(megabytes=20.0, descriptors=0.5, threads=0.5, files=0.5)
"""By how much each may grow over all jobs after that, on the line fitted to them."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=500, help="fewer than 300 say little about memory")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-soak-") as folder:
        history = soak(Path(folder), flags.jobs, random.Random(flags.seed))
    measured = np.array(history[round(WARM_UP * len(history)) :])
    slope = np.polyfit(np.linspace(0, 1, len(measured)), measured, 1)[0]
    for name, least, most, growth, tolerance in zip(
        Holdings._fields, measured.min(0), measured.max(0), slope, TOLERANCE, strict=True
    ):
        print(f"{name}: {least:.0f} to {most:.0f}, grows by {growth:.2f} (at most {tolerance})")
    if (slope > TOLERANCE).any():
        sys.exit("Something grows.")


def soak(folder: Path, jobs: int, chance: random.Random) -> list[Holdings]:
    """Run ``jobs`` with all files in ``folder``; what the idle process held after each. Raises AssertionError."""
    written = {
        "HOME": folder / "user",
        "IMAGE_TO_MESH_HOME": folder / "home",
        "TMPDIR": folder / "temporary",
        "jobs": folder / "jobs",
    }
    for path in written.values():
        path.mkdir()
    write_sources(folder / "sources")
    if (weights_folder() / "u2netp").is_dir():
        shutil.copytree(weights_folder() / "u2netp", folder / "home" / "weights" / "u2netp")
    variables = {name: str(path) for name, path in written.items() if name.isupper()}
    server = Server(folder / "log", ENVIRONMENT | variables)
    work = Workplace(server, chance, folder / "sources", folder / "jobs")
    assert work.generate(folder=str(folder / "sources" / "finished")) == "result"
    started, history, order = time.monotonic(), [], []
    for number in range(1, jobs + 1):
        order = order or chance.sample(KINDS, len(KINDS))
        kind = order.pop()
        try:
            kind(work)
        except BaseException as error:
            error.add_note(f"job {number}, {kind.__name__}: the last lines of the log are\n{_end_of(folder / 'log')}")
            raise
        unfinished = [path for path in work.jobs.rglob(".*") if path.exists()]
        assert not unfinished, f"job {number}, {kind.__name__} left {unfinished}"
        shutil.rmtree(work.jobs)
        work.jobs.mkdir()
        history.append(server.holdings(sum(1 for path in written.values() for _ in path.rglob("*"))))
        if number % 10 == 0:
            seconds = time.monotonic() - started
            print(f"{number} jobs, {seconds:.0f} s: {history[-1]}", flush=True)
    assert server.close() == 0
    return history


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


if __name__ == "__main__":
    main()

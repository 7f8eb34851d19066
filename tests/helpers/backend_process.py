"""Jobs of a real backend process, and how tests wait for what becomes of them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from backend.client import Backend
from backend.protocol import Failure, Progress, Result
from tests.helpers.images import shaded_disc

ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's process tools")


def save_disc(folder: Path) -> Path:
    """A shaded disc on a transparent ground, under a name with spaces and non-ASCII letters."""
    path = folder / "Bild № 1 ümläut 日本.png"
    Image.fromarray(shaded_disc()).save(path)
    return path


def small_options(weights: Path, **more) -> dict:
    return {"weights": str(weights), "quality": "fast", "faces": 500, "texture_size": 256, "device": "cpu"} | more


def wait_until(happened, seconds: float = 60.0):
    """Poll ``happened`` until it returns something true."""
    deadline = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return value


def wait_for_stage(backend: Backend, id: int, stage: str) -> None:
    def has_begun() -> bool:
        events = backend.poll()
        assert not any(isinstance(event, (Result, Failure)) for event in events), events
        return any(isinstance(event, Progress) and event.id == id and event.stage == stage for event in events)

    wait_until(has_begun)


def end_of(backend: Backend, id: int, seconds: float = 60.0) -> Result | Failure:
    """The one end of a request; fails when there are two."""
    ends = []

    def ended() -> list:
        ends.extend(event for event in backend.poll() if event.id == id and not isinstance(event, Progress))
        return ends

    wait_until(ended, seconds)
    time.sleep(0.1)
    assert len(ended()) == 1
    return ends[0]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

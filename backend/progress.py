"""How far a job is, how long each stage took, and whether to stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from .errors import ErrorCode, UserError


class OnProgress(Protocol):
    def __call__(self, stage: str, fraction: float, text: str, preview: Path | None = None) -> None:
        """``fraction`` is 0..1 of the whole job, ``text`` one line for a person."""


class Stages:
    """The stages of one job, each with its share of the whole."""

    def __init__(self, shares: dict[str, float], on_progress: OnProgress, cancelled: Callable[[], bool]):
        """``shares``: stage -> its usual share of the time, in order; they need not add up to 1."""
        self.seconds: dict[str, float] = {}
        """Seconds of each finished stage."""
        self._shares = shares
        self._on_progress = on_progress
        self._cancelled = cancelled
        self._stage = ""
        self._text = ""
        self._fraction = 0.0

    @contextlib.contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        """Everything inside belongs to this stage."""
        self._stage, self._text = name, text
        self.step(0.0)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)

    def step(self, share: float, preview: Path | None = None) -> None:
        """``share`` (0..1) of the stage is done. Raises UserError ``cancelled`` when the job is to stop."""
        if self._cancelled():
            raise UserError(ErrorCode.CANCELLED, "Cancelled.")
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(self._stage)])
        reached = (before + share * self._shares[self._stage]) / sum(self._shares.values())
        self._fraction = max(self._fraction, reached)  # a room may find more to do than it first knew
        self._on_progress(self._stage, self._fraction, self._text, preview)

"""How far a long job is and how long each of its stages took. Standard library only.

Functions that do one stage's work take ``on_progress: OnProgress`` and report the fraction of their own work. Whoever
knows the order of the stages (the pipeline, the installer, the weights) owns a ``ProgressTracker``, which turns these
into events for one listener: a terminal, the server, or Blender.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from .errors import printable
from .stop_signals import repeat_lost_stop

OnProgress = Callable[[float], None]
"""Called with the fraction (0..1) of a function's own work that is done; may raise ``Cancelled``."""

LINE_INTERVAL = 0.1
"""Seconds between two renewals of the line in a terminal."""
LONGEST_SILENCE = 10.0
"""Seconds without a line where the output is no terminal."""


@dataclass(frozen=True)
class ProgressEvent:
    """How far a job is."""

    stage: str
    """Name of the running stage, for programs."""
    fraction: float
    """0..1 of the whole job; never decreases."""
    text: str
    """What the stage does, one line for a person."""
    preview: Path | None = None
    """An image file to show, if a new one is there."""
    detail: str = ""
    """What the stage is at right now, such as a file's name or “12.0 of 30.0 MB”; may be empty."""


ProgressListener = Callable[[ProgressEvent], None]
"""Receives every event of a job; may raise ``Cancelled``."""


def ignore_progress(*_: object) -> None:
    """An ``OnProgress`` or ``ProgressListener`` that does nothing."""


class ProgressTracker:
    """The stages of one job, each with its share of the whole."""

    def __init__(self, shares: Mapping[str, float], listener: ProgressListener = ignore_progress):
        """``shares``: stage -> its usual share of the time, in order; they need not add up to 1."""
        self.seconds: dict[str, float] = {}
        """Seconds of each finished stage."""
        self._shares = dict(shares)
        self._listener = listener
        self._stage = ""
        self._text = ""
        self._fraction = 0.0

    @contextlib.contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        """Everything inside belongs to the stage ``name``, which may be entered more than once."""
        self._stage, self._text = name, text
        self.update(0.0)
        started = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)

    def update(self, fraction: float, preview: Path | None = None, detail: str = "") -> None:
        """``fraction`` (0..1) of the running stage is done. Passes on what the listener raises (``Cancelled``)."""
        names = list(self._shares)
        before = sum(self._shares[name] for name in names[: names.index(self._stage)])
        reached = (before + fraction * self._shares[self._stage]) / sum(self._shares.values())
        self._fraction = max(self._fraction, reached)  # a stage may find more to do than it first knew
        self._listener(ProgressEvent(self._stage, self._fraction, self._text, preview, detail))

    def show(self, preview: Path) -> None:
        """There is an image file to show. Passes on what the listener raises."""
        self._listener(ProgressEvent(self._stage, self._fraction, self._text, preview))


class TerminalProgress:
    """A ``ProgressListener`` that prints: one line that renews itself in a terminal; elsewhere a line per step, and one
    after every ten seconds of silence."""

    def __init__(self, stream: TextIO | None = None, silence: float = LONGEST_SILENCE):
        """``stream``: standard error if left out. ``silence``: seconds without a line, where it is no terminal."""
        self._stream = stream or sys.stderr
        self._step: tuple[str, str] | None = None
        self._line = ""
        self._printed = self._started = time.monotonic()
        if not self._stream.isatty():
            threading.Thread(target=_repeat, args=(weakref.ref(self), silence), name="progress", daemon=True).start()

    def __call__(self, event: ProgressEvent) -> None:
        repeat_lost_stop()
        step = (event.stage, event.text)
        is_new, self._step = step != self._step, step
        is_last = event.fraction >= 1
        self._line = printable(f"{event.fraction:4.0%}  {event.text}{f': {event.detail}' if event.detail else ''}")
        if self._stream.isatty():
            if is_new or is_last or time.monotonic() - self._printed >= LINE_INTERVAL:
                self._print(f"\r\033[K{self._line[:110]}", "\n" if is_last else "")
        elif is_new:
            self._print(self._line, "\n")

    def _print(self, text: str, end: str) -> None:
        self._printed = time.monotonic()
        print(text, end=end, file=self._stream, flush=True)

    def repeat(self, silence: float) -> None:
        """Say that work goes on, where nothing was printed for ``silence`` seconds."""
        if self._line and time.monotonic() - self._printed >= silence:
            self._print(f"{self._line} ({time.monotonic() - self._started:.0f} s)", "\n")


def _repeat(reference: weakref.ref[TerminalProgress], silence: float) -> None:
    """A thread, for as long as somebody has the listener: a stage may report nothing for minutes."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more: the next event ends the job
        while listener := reference():
            listener.repeat(silence)
            del listener
            time.sleep(silence / 10)


def format_bytes(done: float, total: float) -> str:
    """How much of a file is done, as a ``detail``: “12.0 of 30.0 MB”."""
    return f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB"

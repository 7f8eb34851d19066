"""The progress tracker, its events, and the line in a terminal."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from dataclasses import FrozenInstanceError

import pytest

from backend.errors import Cancelled, to_user_error
from backend.progress import ProgressEvent, ProgressTracker, TerminalProgress, format_bytes
from tests.helpers.paths import ROOT


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_stages_share_the_whole_and_it_never_decreases():
    events: list[ProgressEvent] = []
    tracker = ProgressTracker({"load": 1, "views": 3}, events.append)
    with tracker.stage("load", "Loading"):
        tracker.update(0.5)
    with tracker.stage("views", "Generating"):
        tracker.update(0.5, detail="4 of 8")
        tracker.update(0.25)  # more turned out to be needed
        tracker.update(1.0)
    assert [event.fraction for event in events] == [0, 0.125, 0.25, 0.625, 0.625, 1]
    assert [(event.stage, event.text) for event in events[1:3]] == [("load", "Loading"), ("views", "Generating")]
    assert events[3].detail == "4 of 8" and events[3].preview is None
    assert list(tracker.seconds) == ["load", "views"] and all(seconds >= 0 for seconds in tracker.seconds.values())
    with pytest.raises(FrozenInstanceError):
        events[0].fraction = 1.0


def test_stage_may_be_entered_twice_and_its_seconds_add_up():
    events: list[ProgressEvent] = []
    tracker = ProgressTracker({"download": 1, "check": 0}, events.append)
    for name in ("a.bin", "b.bin"):
        with tracker.stage("download", f"Downloading {name}"):
            tracker.update(0.5 if name == "a.bin" else 1.0)
    with tracker.stage("check", "Checking"):
        pass
    assert [event.fraction for event in events] == [0, 0.5, 0.5, 1, 1]
    assert list(tracker.seconds) == ["download", "check"]


def test_listener_that_cancels_ends_the_stage():
    events: list[ProgressEvent] = []

    def listen(event: ProgressEvent) -> None:
        if len(events) == 2:
            raise Cancelled
        events.append(event)

    tracker = ProgressTracker({"views": 1}, listen)
    with pytest.raises(Cancelled), tracker.stage("views", "Generating"):
        tracker.update(0.1)
        tracker.update(0.2)
    assert [event.fraction for event in events] == [0, 0.1] and not tracker.seconds
    error = to_user_error(Cancelled(), "the.log")
    assert (error.code, str(error), error.log) == ("cancelled", "Cancelled.", "the.log")


def test_pipe_gets_a_line_in_a_long_silence_and_none_after_the_work():
    stream = io.StringIO()
    listener = TerminalProgress(stream, silence=0.05)
    listener(ProgressEvent("views", 0.1, "Generating"))
    time.sleep(0.3)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= 7 and all(line.startswith(" 10%  Generating (") for line in lines[1:])
    del listener
    time.sleep(0.1)
    before = stream.getvalue()
    time.sleep(0.2)
    assert stream.getvalue() == before


def test_terminal_renews_one_line_and_ends_it():
    stream = Terminal()
    listener = TerminalProgress(stream)
    listener(ProgressEvent("views", 0.0, "Generating"))
    listener(ProgressEvent("views", 0.1, "Generating"))  # too soon after the last
    listener(ProgressEvent("views", 1.0, "Generating", detail=format_bytes(12e6, 3e9)))
    assert stream.getvalue() == "\r\033[K  0%  Generating\r\033[K100%  Generating: 12.0 of 3,000.0 MB\n"


def test_pipe_gets_a_line_per_step():
    stream = io.StringIO()
    listener = TerminalProgress(stream)
    for fraction in (0.0, 0.2, 0.4):
        listener(ProgressEvent("views", fraction, "Generating"))
    listener(ProgressEvent("mesh", 0.5, "Building the mesh"))
    listener(ProgressEvent("mesh", 1.0, "Building the mesh"))
    assert stream.getvalue() == "  0%  Generating\n 50%  Building the mesh\n"


LOST = """
import signal, sys, weakref
from backend.progress import ProgressEvent, TerminalProgress
from backend.stop_signals import StopSignals

class Something: pass

StopSignals().install()
listener = TerminalProgress()
listener(ProgressEvent("a", 0.0, "Working"))
something = Something()
reference = weakref.ref(something, lambda _: signal.raise_signal(int(sys.argv[1])))
del something  # here Python drops what the handler raises
print("goes on", flush=True)
try:
    listener(ProgressEvent("a", 0.5, "Working"))
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("name", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Stopped")])
def test_signal_that_python_drops_ends_the_next_step(name, raised):
    command = [sys.executable, "-c", LOST, str(int(getattr(signal, name)))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split("\n") == ["goes on", raised, ""], done.stderr

"""How much longer a job takes, judged by how long each stage took in earlier jobs of its kind on this computer."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from .input_files import read_json

_TOLERANCE = 1.5
_GRACE = 2.0
"""So many times as long as expected, and so many seconds more, may a stage take before the rest is anybody's guess."""
_KINDS = 50
"""Kinds of jobs that are remembered, the latest ones."""


def kind_of_job(method: str, options: dict) -> str:
    """The backend's method and those ``options`` (of ``Options.to_dict``) that decide most about the time."""
    quality = "reference" if options.get("reference_mode") else options.get("quality", "auto")
    weights = Path(str(options.get("weights", ""))).name  # a folder's path is private
    return f"{method}, {weights}, {options.get('device', 'auto')}, {quality}"


def describe_time_left(seconds: float) -> str:
    """As exactly as such an estimate is."""
    if seconds >= 90:
        return f"about {seconds / 60:.0f} min left"
    return f"about {max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)} s left"


class ExpectedTime:
    """The time of one job."""

    def __init__(self, file: Path, kind: str, now: Callable[[], float] = time.monotonic):
        """``file`` (JSON) has the seconds of each stage by kind of job; ``now``: the clock, in seconds."""
        self._file, self._kind, self._now = file, kind, now
        self._expected: dict[str, float] = {}
        """Seconds in each stage, in their order."""
        self._taken: dict[str, float] = {}
        """Seconds in each stage that is over, by stage, in the order in which they began."""
        self._stage, self._since = "", 0.0

    def enter(self, stage: str) -> None:
        """The job is in ``stage`` now, maybe still."""
        if not self._stage:  # not before: a job may have waited for the end of another one, which it can learn from
            self._expected = _read(self._file).get(self._kind, {})
        if stage != self._stage:
            self._leave()
            self._stage, self._since = stage, self._now()

    def seconds_left(self) -> float | None:
        """None: no earlier job tells, or this one takes much longer than those."""
        if self._stage not in self._expected:
            return None
        stages = list(self._expected)
        here, *later = stages[stages.index(self._stage) :]
        taken = self._now() - self._since
        if taken > _TOLERANCE * self._expected[here] + _GRACE:
            return None
        return max(0.0, self._expected[here] - taken) + sum(self._expected[stage] for stage in later)

    def remember(self) -> None:
        """The job has ended well: later ones are expected to take about as long. A file that cannot be written is no
        error."""
        self._leave()
        stages = {stage: seconds for stage, seconds in self._expected.items() if stage not in self._taken}
        for stage, seconds in self._taken.items():  # those that this job did not need, such as a start, come first
            stages[stage] = round((seconds + self._expected.get(stage, seconds)) / 2, 2)
        kinds = _read(self._file)
        kinds.pop(self._kind, None)
        kept = dict(list(kinds.items())[1 - _KINDS :]) | {self._kind: stages}
        with contextlib.suppress(OSError):
            self._file.write_text(json.dumps(kept, indent=1), encoding="utf-8")

    def _leave(self) -> None:
        if self._stage:
            self._taken[self._stage] = self._taken.get(self._stage, 0.0) + self._now() - self._since


def _read(file: Path) -> dict[str, dict[str, float]]:
    """What the file says; nothing where it is missing or damaged."""
    try:
        kinds = read_json(file)
        return {
            kind: {stage: float(seconds) for stage, seconds in stages.items() if 0 <= float(seconds) < 1e6}
            for kind, stages in kinds.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

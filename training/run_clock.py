"""When a run stops before its last step, and when it writes checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable

from training.distributed import ProcessGroup, all_ranks_true

CHECK_CLOCK_EVERY = 20
CHECKPOINT_EVERY_SECONDS = 120


def deadline_after(minutes: float | None, spare_seconds: float = 0.0) -> float:
    """The time (of ``time.monotonic``) at which a run of ``minutes`` from now has to stop, with ``spare_seconds`` left;
    None: never."""
    return time.monotonic() + 60 * minutes - spare_seconds if minutes else float("inf")


class RunClock:
    """Watches a deadline (of ``time.monotonic``) and has the main process save now and then."""

    def __init__(self, group: ProcessGroup, deadline: float, save: Callable[[], None]):
        self._group, self._deadline, self._save = group, deadline, save
        self._saved = time.monotonic()

    def is_over(self, step: int) -> bool:
        """Whether the run has to stop after ``step``, in all processes alike; saves where it is time to."""
        if step % CHECK_CLOCK_EVERY:
            return False
        if not all_ranks_true(time.monotonic() < self._deadline, self._group):
            return True
        if self._group.is_main and time.monotonic() - self._saved > CHECKPOINT_EVERY_SECONDS:
            self._save()
            self._saved = time.monotonic()
        return False

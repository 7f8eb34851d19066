"""The cutout of a job's image, which a person looks at, and may change, before the job goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..backend.client import Backend
from .job_record import JobRecord

PAUSE = 5.0
"""Seconds for which a cutout is shown before the job goes on by itself."""


class CutoutCheck:
    """What is known of one cutout and of what is to be made of it."""

    def __init__(self, record: JobRecord, folder: Path, goes_on: bool):
        """``record`` and ``folder`` are the job's. ``goes_on``: whether the job goes on by itself after ``PAUSE``."""
        self.record = record
        """What the job is asked for; a person's decisions change it."""
        self.folder = folder
        self.is_over = False
        """Whether the job may go on."""
        self.preview: Path | None = None
        """The image file that shows the cutout, once there is one."""
        self.is_draft = False
        """Whether the backend is about to send a better cutout than the one that is shown."""
        self.painting: Path | None = None
        """The whole image, in which the object is opaque, to be painted on."""
        self.background = 0
        """The alpha, 0..255, of what is not the object in these files."""
        self.found = False
        """Whether there is an object in the cutout."""
        self.method = ""
        """What cut it out."""
        self.warnings: list[str] = []
        """Sentences for the user; if no object was found, the first one says why."""
        self.earlier_brush: tuple[str, str] | None = None
        """Name and blend mode of the brush that paints on it, as it was before."""
        self._goes_on = goes_on
        self._deadline: float | None = None
        self._shown_since: float | None = None
        self.seconds_shown = 0.0
        """For how long somebody looked at it, once it is over."""

    @property
    def is_shown(self) -> bool:
        """Whether there is a cutout to decide about."""
        return self.preview is not None and not self.is_over

    @property
    def seconds_left(self) -> int | None:
        """Until the job goes on by itself; None: it waits."""
        return None if self._deadline is None else max(0, round(self._deadline - time.monotonic()))

    def request(self) -> Callable[[Backend], int]:
        """What asks a backend for the cutout."""
        return lambda backend: backend.cutout(self.record.image, self.folder, self.record.options)

    def show_draft(self, preview: Path) -> None:
        """Show this image file until the backend has looked closer."""
        self.preview, self.is_draft = preview, True
        self.found, self.method, self.warnings = True, self.record.options.get("cutout", "auto"), []

    def show(self, result: dict) -> None:
        """Take the backend's result."""
        self.is_draft = False
        if self._shown_since is None:
            self._shown_since = time.monotonic()
        self.preview, self.painting = Path(result["preview"]), Path(result["painting"])
        self.background = result["background"]
        self.found, self.method, self.warnings = result["found"], result["method"], result["warnings"]
        if self._goes_on and self.found:
            self._deadline = time.monotonic() + PAUSE

    def update(self) -> None:
        """Go on if it is time."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.go_on()

    def wait(self) -> None:
        """From now on the job does not go on by itself."""
        self._goes_on, self._deadline = False, None

    def choose(self, method: str) -> None:
        """Another way to cut out, one of the option's choices; ``request`` then asks for it."""
        self.wait()
        self.preview, self.is_draft = None, False
        self.record = replace(self.record, options=self.record.options | {"cutout": method})

    def go_on(self, mask: Path | None = None) -> None:
        """Let the job begin, with a ``mask`` in place of the cutout if there is one."""
        self.is_over, self._deadline = True, None
        if self._shown_since is not None:
            self.seconds_shown = time.monotonic() - self._shown_since
        if mask is not None:
            self.record = replace(self.record, mask=str(mask))

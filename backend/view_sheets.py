"""Contact sheets of views that are still being sampled, as files for somebody who watches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .data_types import Views
from .io.job_folder import write_contact_sheet

INTERVAL = 1.0
"""Seconds between two sheets, and before the first: a fast GPU is done by then."""
TILE = 128
"""Pixels along a side of each view."""


class ViewSheets:
    """An ``OnViews`` that writes a sheet into a job's folder, at most one a second; none of them is a result."""

    def __init__(self, folder: Path, show: Callable[[Path], None]):
        """``show`` receives the path of each sheet."""
        self._folder, self._show = folder, show
        self._paths: list[Path] = []
        self._written = time.monotonic()

    def __call__(self, images: Sequence[np.ndarray]) -> None:
        if time.monotonic() - self._written < INTERVAL:
            return
        path = self._folder / f"views-{len(self._paths) + 1}.png"  # a new name: who shows it may keep files by name
        write_contact_sheet(path, np.stack([_resize(image) for image in images]))
        self._paths.append(path)
        self._show(path)
        self._written = time.monotonic()

    def finish(self, views: Views) -> Path:
        """Write the sheet of the finished ``views``, which is a result, and delete the others."""
        path = self._folder / "views.png"
        write_contact_sheet(path, views.images)
        for earlier in self._paths:
            with contextlib.suppress(OSError):  # on Windows, where somebody is just reading it
                earlier.unlink()
        return path


def _resize(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 0..1 -> (TILE, TILE, 3)."""
    pixels = Image.fromarray(np.round(image * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(pixels.resize((TILE, TILE), Image.Resampling.BICUBIC), np.float32) / 255

"""The views that a result was made of, read from its job's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..backend.input_files import read_json

_SIDES = {"1": "right", "2": "back", "3": "left", "above": "top"}
"""Sides that generated views show, where they have a name."""


@dataclass(frozen=True)
class SheetView:
    """One view."""

    name: str
    image: np.ndarray
    """(S, S, 3) uint8, top row first."""
    elevation: float
    """Of its camera, in degrees."""
    azimuth: float
    """Degrees around the object from the input's camera to the right, 0..360."""
    is_generated: bool

    @property
    def side(self) -> str:
        """What it shows, as the backend names it."""
        return (
            _SIDES.get(self.name, f"{round(self.azimuth)},{round(self.elevation)}") if self.is_generated else self.name
        )

    @property
    def label(self) -> str:
        """What it shows, for a person."""
        return self.side.title() if self.side.isalpha() else f"{round(self.azimuth) % 360}°, {round(self.elevation)}°"


def views_of(folder: Path) -> tuple[SheetView, ...]:
    """The input image and the views around it, without views that are only neighbors of others; none where the folder
    has none that can be read. Panels ask this with every redraw."""
    try:
        return _read(folder, (folder / "views.npz").stat().st_mtime)
    except OSError:
        return ()


@lru_cache(maxsize=2)
def _read(folder: Path, _modified: float) -> tuple[SheetView, ...]:
    try:
        given = set(read_json(folder / "report.json")["given"])
        with np.load(folder / "views.npz") as arrays:
            names, images, cameras = (arrays[key] for key in ("names", "images", "camera_to_world"))
        if images.dtype != np.uint8 or images.shape[1:] != (images.shape[1], images.shape[1], 3):
            return ()
        directions = cameras[:, :3, 2].astype(np.float64)
        elevations = np.degrees(np.arcsin(directions[:, 2].clip(-1, 1)))
        azimuths = np.degrees(np.arctan2(directions[:, 0], -directions[:, 1])) % 360
        rows = zip(names.tolist(), images, elevations.tolist(), azimuths.tolist(), strict=True)
        return tuple(
            SheetView(name, image, elevation, azimuth, name != "input" and name not in given)
            for name, image, elevation, azimuth in rows
            if "_" not in name
        )
    except Exception:  # damage shows as whatever the first wrong byte happens to mean
        return ()

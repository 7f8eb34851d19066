"""Which weights there are to be had, and which are installed. Standard library only: Blender imports it."""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..paths import data_folder

KINDS = {
    "view": "new views",
    "surface": "surface",
    "set": "views and surface",
    "matcher": "elevation",
    "mask": "cutting out",
    "text-to-image": "text to picture",
}
"""Kind of weights -> what they are for, in a word or two."""
MANIFEST = "weights.json"
"""Stands in the folder of every installed set of weights: kind, source, license, and each file's size and sha256."""


@dataclass(frozen=True)
class Entry:
    """Weights of the catalog; ``catalog.toml`` says what each value means."""

    name: str
    kind: str
    purpose: str
    license: str
    commercial: bool
    vram: int
    repo: str | None = None
    files: tuple[str, ...] = ()
    sha256: dict[str, str] = field(default_factory=dict)
    bytes: int | None = None
    installed: int | None = None
    polar_of_source: bool = False
    needs: tuple[str, ...] = ()

    @property
    def terms(self) -> str:
        """The license in one line; one that forbids commercial use says so."""
        return self.license if self.commercial else f"{self.license}: non-commercial"


@dataclass(frozen=True)
class Installed:
    """Weights on this computer."""

    name: str
    folder: Path
    kind: str
    source: str
    license: str
    bytes: int
    files: dict[str, dict]
    """Path below ``folder`` -> ``bytes`` and ``sha256``."""


def catalog() -> dict[str, Entry]:
    """Every entry by its name, in the file's order."""
    with open(Path(__file__).with_name("catalog.toml"), "rb") as file:
        entries = tomllib.load(file)
    return {
        name: Entry(name, **(about | {key: tuple(about[key]) for key in ("files", "needs") if key in about}))
        for name, about in entries.items()
    }


def weights_folder(home: Path | None = None) -> Path:
    """The folder of the installed weights: in ``home``, else in the data folder; IMAGE_TO_MESH_HOME is before both."""
    return (data_folder() if home is None or os.environ.get("IMAGE_TO_MESH_HOME") else home) / "weights"


def installed(home: Path | None = None) -> dict[str, Installed]:
    """All installed weights by name; a folder without a readable manifest is none of ours and is left out."""
    found = {}
    for path in sorted(weights_folder(home).glob(f"*/{MANIFEST}")):
        folder = path.parent
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            about = json.loads(path.read_text(encoding="utf-8"))
            files = {
                name: {"bytes": int(it["bytes"]), "sha256": str(it["sha256"])} for name, it in about["files"].items()
            }
            size = sum(it["bytes"] for it in files.values())
            kind, source, license = (str(about[key]) for key in ("kind", "source", "license"))
            if not folder.name.startswith("."):
                found[folder.name] = Installed(folder.name, folder, kind, source, license, size, files)
    return found


def find(name: str) -> Entry:
    """The entry called ``name``. Raises UserError (``weights_unknown``)."""
    entries = catalog()
    if name not in entries:
        raise UserError(
            ErrorCode.WEIGHTS_UNKNOWN, f"There are no weights “{name}” to be fetched; there are {', '.join(entries)}."
        )
    return entries[name]

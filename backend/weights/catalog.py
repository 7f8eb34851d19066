"""The weights that this program knows by name, from ``catalog.toml``. Standard library only: Blender imports it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

KINDS = {
    "view": "novel views",
    "surface": "views to surface",
    "bundle": "views and surface",
    "matcher": "elevation",
    "mask": "background removal",
    "text-to-image": "text to image",
}
"""Kind of weights -> what they are for, in a word or two."""


@dataclass(frozen=True)
class CatalogEntry:
    """Weights of the catalog; ``catalog.toml`` says what each value means."""

    name: str
    kind: str
    purpose: str
    license: str
    license_word: str
    commercial: bool
    vram: int
    repo: str | None = None
    files: tuple[str, ...] = ()
    sha256: dict[str, str] = field(default_factory=dict)
    bytes: int | None = None
    installed_bytes: int | None = None
    uses_source_elevation: bool = False
    needs: tuple[str, ...] = ()

    @property
    def terms(self) -> str:
        """The license in one line; one that forbids commercial use says so."""
        return self.license if self.commercial else f"{self.license}: non-commercial"


def load_catalog() -> dict[str, CatalogEntry]:
    """Every entry by its name, in the file's order."""
    with open(Path(__file__).with_name("catalog.toml"), "rb") as file:
        tables = tomllib.load(file)
    return {
        name: CatalogEntry(name, **(table | {key: tuple(table[key]) for key in ("files", "needs") if key in table}))
        for name, table in tables.items()
    }

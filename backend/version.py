"""The version of the extension and its backend, as ``blender_manifest.toml`` states it. Standard library only."""

from __future__ import annotations

import tomllib
from pathlib import Path

_MANIFEST = Path(__file__).resolve().parents[1] / "blender_manifest.toml"

VERSION: str = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))["version"]

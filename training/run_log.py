"""The log of a training run: one JSON object per line, in the checkpoint's folder."""

from __future__ import annotations

import json
from pathlib import Path


class RunLog:
    """Appends rows to ``log.jsonl`` and prints them. Inactive in all processes but the main one."""

    def __init__(self, folder: Path, active: bool):
        self._path = folder / "log.jsonl" if active else None
        if active:
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, **values: float | int | str) -> None:
        """Floats are rounded to five significant digits."""
        if self._path is None:
            return
        line = json.dumps({name: float(f"{v:.5g}") if isinstance(v, float) else v for name, v in values.items()})
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

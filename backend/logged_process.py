"""A program whose output goes to a log while it is read. Standard library only: Blender imports it."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO


def run_logged(
    command: list[str], log: Path, read: Callable[[str], None] | None = None, variables: dict[str, str] | None = None
) -> tuple[int, str]:
    """Exit status and output of ``command``; ``read`` gets each line as it comes, and "" in each second of silence."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    lines: queue.Queue[str | None] = queue.Queue()
    text = []
    with open(log, "a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment | (variables or {}),
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        threading.Thread(target=_forward_lines, args=(process.stdout, lines), daemon=True).start()
        try:
            while (line := _next(lines)) is not None:
                if line and not line.startswith("Progress "):
                    text.append(line)
                    file.write(line)
                if read:
                    read(line)
            return process.wait(), "".join(text)
        finally:
            process.kill()
            process.wait()


def _forward_lines(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _next(lines: queue.Queue[str | None]) -> str | None:
    """The next line, "" after a second without one, None at the end."""
    try:
        return lines.get(timeout=1)
    except queue.Empty:
        return ""

"""What is needed to judge and to repeat a run: version, options, hardware, memory."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import torch

from backend.options import Options


def run_info(options: Options, input_size: int) -> dict:
    """What is run, of which version, on what; ``input_size`` in pixels."""
    # A folder's name is enough: its path would be one computer's.
    shown = {"weights": Path(options.weights).name}
    has_gpu = torch.cuda.is_available()
    return {
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "options": options.to_dict() | shown,
        "input_size": input_size,
        "hardware": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if has_gpu else None,
            "system": platform.system(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def peak_memory() -> dict[str, float | None]:
    """Peak memory in MiB of this process, ``main``, and of its tensors on the GPU, ``gpu``; None where unknown."""
    try:
        import resource
    except ImportError:  # Windows
        main = None
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        main = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"main": main, "gpu": torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None}


def _commit() -> str:
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:  # not Linux
        pass
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {count} cores"

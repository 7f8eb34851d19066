"""What all tests share: how they run, and fixtures that are made once."""

from __future__ import annotations

import os
from importlib.util import find_spec

os.environ["TRITON_INTERPRET"] = "1"  # before any kernel is defined: the training's run on the CPU here

TRITON = (
    "procedural/test_triton_depth.py",
    "procedural/test_triton_renderer.py",
    "training/test_back_projection.py",
    "training/test_group_norm.py",
    "training/test_surface_loss.py",
)
"""Tests of Triton kernels. There is no Triton for Windows and macOS."""

collect_ignore = [] if find_spec("triton") else list(TRITON)


def pytest_report_header() -> list[str]:
    return [] if find_spec("triton") else [f"Triton is not installed, so these are left out: {', '.join(TRITON)}"]

"""Triton's kernels run by its interpreter, where no GPU is at hand: what the training's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.helpers.paths import ROOT

ONE_OF_EACH = """
import numpy as np
import torch
from benchmark.ground_truth import Truth
from procedural.scene import load_held_out
from training.render import Scenes, from_numpy

torch.set_num_threads(1)
rows = np.zeros((18, 32), np.float32)
random = np.random.default_rng(0)
for number, row in enumerate(rows):
    row[:6] = number % 6, *random.uniform(0.1, 0.3, 3), 0.02, 0.1
    row[6:9] = random.uniform(-0.4, 0.4, 3)
    row[9:18] = np.linalg.qr(random.normal(size=(3, 3)))[0].ravel()
    row[18:20] = (0, 0, 0, 1, 0, 2)[number % 6] if number > 5 else 0, (0, 0.05)[number % 2]
    row[20:26] = random.uniform(0, 1, 6)
    row[26:29] = number // 3, random.uniform(1, 4), number % 3
    row[29:31] = (number + 2) % 4, (1, 1, 1, 3, 5)[number % 5]
rows[rows[:, 18] == 2, 1:4] = 0.9
placement = np.array([0.7, 0.1, -0.05, 0.02, np.cos(0.7), np.sin(0.7)], np.float32)
"""
"""A script's beginning: rows of every kind of primitive, pattern and operation, and their placement."""

needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="triton is not installed: only training needs it, and it runs on Linux only"
)


def interpreted(script: str) -> None:
    """Run a script where Triton's kernels are interpreted on the CPU."""
    variables = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

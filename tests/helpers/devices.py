"""The devices that parity with the references is tested on."""

from __future__ import annotations

import pytest
import torch

DEVICES = ["cpu", *([pytest.param("cuda", marks=pytest.mark.cuda)] if torch.cuda.is_available() else [])]

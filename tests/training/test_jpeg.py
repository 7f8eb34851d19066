"""JPEG's losses are those of real JPEG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.jpeg import compress

MUG = Path(__file__).resolve().parents[2] / "examples" / "mug.png"


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_losses_are_those_of_a_jpeg_file(quality):
    picture = Image.open(MUG).convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(file), np.float32)
    original = np.asarray(picture, np.float32)
    image = torch.from_numpy(original / 255).permute(2, 0, 1)
    # Beside another one of another quality: each has its own.
    both = compress(torch.stack([1 - image, image]), np.array([100.0 - quality, float(quality)]))
    ours = both[1].permute(1, 2, 0).numpy() * 255
    lost = np.abs(expected - original).mean()
    assert lost > 1 and np.abs(ours - expected).mean() < 0.6  # of 255; 0.3 to 0.45
    assert np.abs(ours - original).mean() == pytest.approx(lost, rel=0.1)

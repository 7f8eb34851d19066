"""Measuring how many pictures a batch makes an hour."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from backend.options import Options
from benchmark.throughput import measure_throughput, throughput_text, write_pictures


def test_pictures_differ_and_keep_their_alpha(tmp_path):
    write_pictures(tmp_path / "pictures", 12)
    files = sorted((tmp_path / "pictures").iterdir())
    assert len(files) == 12
    assert len({hashlib.sha256(file.read_bytes()).digest() for file in files}) == 12
    first, later = (np.asarray(Image.open(files[number])) for number in (0, 4))  # of one example
    assert (first[..., 3] == later[..., 3]).all()
    assert np.abs(first[..., :3].astype(int) - later[..., :3]).mean() > 2


@pytest.mark.full
def test_batch_is_measured(weights):
    options = Options(weights=str(weights), quality="fast", elevation=20.0, texture_size=256)
    measured = measure_throughput(options, pictures=3, gpus=[0], workers=2, engine="local")
    (row,) = measured["runs"]
    assert (row["pictures"], row["failed"], row["twice"], row["workers"]) == (3, 0, 0, 2)
    assert 0 < row["each"] < row["seconds"]
    assert "pictures an hour" in throughput_text(measured)

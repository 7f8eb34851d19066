"""The tables of the GPU benchmark, of all its parts and of some."""

from __future__ import annotations

import pytest
import torch

from backend.errors import UserError
from benchmark.__main__ import FULL_SIZE_PARTS
from benchmark.gpu_speed import EXAMPLE_IMAGE, MEASUREMENTS, gpu_speed_text, measure_gpu_speed

RUN = {"hardware": {"gpu": "NVIDIA H100", "torch": "2.11"}, "commit": "0123456"}
TIMING = {"first": 2.5, "median": 1.25, "peak_gib": 2.75, "reserved_gib": 3.5}
PARTS = {
    "starter": {"first": {"views": 3.0, "total": 9.75}, "median": {"views": 0.125, "total": 4.5}},
    "memory": [{"name": "quality standard, low memory", **TIMING}],
    "shap_e": [{"name": "Shap-E, image to mesh", "vertices": 98304, **TIMING}],
    "views": {
        "ceiling_tflops": 500.0,
        "unet": [
            {"batch": 8, "plain_ms": 20.0, "replayed_ms": 10.0, "tflop": 1.0, "compiled_ms": 4.0, "compile_s": 100.0},
            {"batch": 16, "plain_ms": 20.0, "replayed_ms": 10.0, "tflop": 2.0},
        ],
        "plans": [{"name": "quality standard", "tflop": 250.0, "share": 0.4, **TIMING}],
    },
}


def test_tables_have_the_rows_of_every_part():
    assert set(PARTS) == set(MEASUREMENTS) and tuple(MEASUREMENTS) == FULL_SIZE_PARTS
    lines = [line.split(" | ") for line in gpu_speed_text({"run": RUN, **PARTS}).splitlines()]
    rows = {cells[0].removeprefix("| ").strip(): [cell.strip(" |") for cell in cells[1:]] for cells in lines}
    assert rows["8"] == ["20.0", "10.0", "4.0", "100", "0.50"] and rows["16"] == ["20.0", "10.0", "-", "-", "0.40"]
    assert rows["quality standard"] == ["2.50", "1.25", "250", "0.40", "2.75"]
    for name in ("quality standard, low memory", "Shap-E, image to mesh"):
        assert rows[name] == ["2.50", "1.25", "2.75", "3.50"]
    assert rows["then, s"] == ["0.12", "4.50"]


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_one_part_alone_has_its_tables(name):
    text = gpu_speed_text({"run": RUN, name: PARTS[name]})
    assert text.startswith("NVIDIA H100, PyTorch 2.11, commit 0123456\n\n")
    assert text.count("\n|-") == (2 if name == "views" else 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, where it takes minutes")
def test_without_a_gpu_one_sentence_says_so():
    with pytest.raises(UserError, match="there is none") as caught:
        measure_gpu_speed(EXAMPLE_IMAGE, [])
    assert caught.value.code == "no_device"

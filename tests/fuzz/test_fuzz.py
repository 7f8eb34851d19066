"""The first cases of every fuzz target; ``python -m tests.fuzz`` runs as many as wanted."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS, run

CASES = {"picture": 400, "protocol": 600, "weights": 600, "job-folder": 400, "hub": 60}


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_is_taken_or_refused_in_a_sentence(target, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_TO_MESH_HOME", str(tmp_path / "home"))
    (tmp_path / "files").mkdir()
    refused = run(target, CASES[target], 0, tmp_path / "files")
    assert CASES[target] / 10 < refused < CASES[target]

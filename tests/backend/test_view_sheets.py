"""The contact sheets of views that are being sampled: what they show, and that they cost a result nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from backend import view_sheets
from backend.data_types import Views
from backend.errors import Cancelled
from backend.options import Options
from backend.paths import PARTIAL
from backend.pipeline import Pipeline
from backend.progress import ProgressEvent, ignore_progress
from backend.view_sheets import TILE, ViewSheets
from tests.helpers.images import shaded_disc


def test_sheets_of_any_sizes_at_most_one_a_second(tmp_path, monkeypatch):
    monkeypatch.setattr(view_sheets, "INTERVAL", 0.3)
    shown = []
    sheets = ViewSheets(tmp_path, shown.append)
    red, green = (np.full((size, size, 3), color, np.float32) for size, color in ((16, (1, 0, 0)), (32, (0, 1, 0))))
    sheets([red, green])
    for _ in range(2):
        time.sleep(0.3)
        sheets([red, green])
        sheets([green, red])
    assert [path.name for path in shown] == ["views-1.png", "views-2.png"]
    sheet = np.asarray(Image.open(shown[0]))
    assert sheet.shape == (TILE, 2 * TILE, 3)
    assert (sheet[:, :TILE] == (255, 0, 0)).all() and (sheet[:, TILE:] == (0, 255, 0)).all()
    images = np.zeros((2, 16, 16, 3), np.float32)
    assert sheets.finish(Views(images, images[..., 0], np.zeros((2, 4, 4)), ("input", "1"))).name == "views.png"
    assert [path.name for path in tmp_path.iterdir()] == ["views.png"]


def test_watching_changes_nothing(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(view_sheets, "INTERVAL", 0.0)
    Image.fromarray(shaded_disc()).save(tmp_path / "a.png")
    options = Options(weights=str(weights), faces=500, texture_size=256, device="cpu", elevation=20.0)
    sizes: dict[str, tuple[int, int]] = {}

    def listen(event: ProgressEvent) -> None:
        if event.preview is not None:
            sizes[event.preview.name] = Image.open(event.preview).size

    pipeline = Pipeline()
    pipeline.generate(tmp_path / "a.png", tmp_path / "plain", options, ignore_progress)
    pipeline.generate(tmp_path / "a.png", tmp_path / "watched", options, listen, show_views=True)
    assert list(sizes) == ["views-1.png", "views-2.png", "views.png"], "two rings, then all"
    assert sizes["views-1.png"] == (3 * TILE, 3 * TILE)  # nine views
    files = {path.name for path in (tmp_path / "plain").iterdir()}
    assert {path.name for path in (tmp_path / "watched").iterdir()} == files
    for name in ("mesh.npz", "texture.png", "views.png", "field.safetensors"):
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "watched" / name).read_bytes(), name

    sizes.clear()
    changes = {"2": {"seed": 4}}
    pipeline.rebuild(tmp_path / "plain", tmp_path / "rebuilt", options, listen, changes, show_views=True)
    assert list(sizes) == ["views-1.png", "views.png"]
    pipeline.rebuild(tmp_path / "plain", tmp_path / "unwatched", options, ignore_progress, changes)
    assert (tmp_path / "rebuilt" / "mesh.npz").read_bytes() == (tmp_path / "unwatched" / "mesh.npz").read_bytes()


def test_cancelling_when_a_sheet_is_shown_leaves_nothing(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(view_sheets, "INTERVAL", 0.0)
    Image.fromarray(shaded_disc()).save(tmp_path / "a.png")

    def listen(event: ProgressEvent) -> None:
        if event.preview is not None:
            raise Cancelled

    options = Options(weights=str(weights), device="cpu", elevation=20.0)
    with pytest.raises(Cancelled):
        Pipeline().generate(tmp_path / "a.png", tmp_path / "job", options, listen, show_views=True)
    assert not (tmp_path / "job").exists() or not (tmp_path / "job" / PARTIAL).exists()

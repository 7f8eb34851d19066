"""A whole job the original's way, with its step lists, its 40 views and its 256^3 grid points, on networks of a toy's
size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from backend import camera, surface
from backend.io.job_folder import load_state
from backend.options import Options
from backend.pipeline import PREVIEW_TILE, Pipeline
from tests.helpers.images import shaded_disc


@pytest.mark.slow
def test_reference_mode_does_a_whole_job(weights, tmp_path):
    torch.set_num_threads(1)
    Image.fromarray(shaded_disc(700, 600)).save(tmp_path / "picture.png")
    options = Options(weights=str(weights), reference_mode=True, texture_size=256, faces=2000, device="cpu")
    fractions = []
    job = Pipeline().generate(
        tmp_path / "picture.png", tmp_path / "job", options, lambda event: fractions.append(event.fraction)
    )
    report = job["report"]
    assert fractions == sorted(fractions) and len(fractions) > 76 + 2 * 49
    assert report["views"] == 41 and report["mesh"]["watertight"] and report["mesh"]["faces"] == 2000
    elevation = report["elevation"]
    assert elevation["source"] in ("matched", "default") and elevation["degrees"] == int(elevation["degrees"])
    assert (report["camera"]["width"], report["camera"]["height"]) == (439, 512)
    assert Image.open(tmp_path / "job" / "preview.png").size == (4 * PREVIEW_TILE, 2 * PREVIEW_TILE)
    confidence = np.asarray(Image.open(tmp_path / "job" / "confidence.png"))
    assert set(np.unique(confidence)) == {0, 85}  # the network's own colors, nothing of the picture
    tensors, views, *_ = load_state(tmp_path / "job")
    field = surface.field_from_tensors(tensors, tmp_path / "job")
    assert field.silhouette_constraint is None
    second_ring = camera.second_ring(90 - elevation["degrees"])
    assert views.names[1:9] == tuple(name for name, *_ in (*camera.FIRST_RING, *second_ring))
    assert views.names[9:13] == ("0_0", "0_1", "0_2", "0_3")

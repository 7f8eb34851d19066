"""A whole job the original's way, with its step lists, its 40 views and its 256^3 grid points, on networks of a toy's
size."""

from __future__ import annotations

import numpy as np
import tiny
import torch
from PIL import Image

from backend.jobfolder import kept
from backend.options import Options
from backend.pipeline import Pipeline


def test_a_whole_job(tmp_path):
    torch.set_num_threads(1)
    rows, columns = np.mgrid[:700, :600]
    inside = (rows - 350) ** 2 + (columns - 300) ** 2 < 250**2
    rgba = np.stack([rows // 3, columns // 3, rows // 4, inside * 255], -1).astype(np.uint8)
    Image.fromarray(rgba).save(tmp_path / "picture.png")
    weights = tiny.write_weights(tmp_path / "weights")
    options = Options(weights=str(weights), faithful=True, texture_size=256, faces=2000, device="cpu")
    told = []
    job = Pipeline().generate(
        tmp_path / "picture.png", tmp_path / "job", options, lambda *each: told.append(each[1]), lambda: False
    )
    report = job["report"]
    assert told == sorted(told) and len(told) > 76 + 2 * 49
    assert report["views"] == 41 and report["mesh"]["watertight"] and report["mesh"]["faces"] == 2000
    height = report["elevation"]
    assert height["source"] in ("matched", "default") and height["degrees"] == int(height["degrees"])
    assert (report["camera"]["width"], report["camera"]["height"]) == (439, 512)
    confidence = np.asarray(Image.open(tmp_path / "job" / "confidence.png"))
    assert set(np.unique(confidence)) == {0, 85}  # the network's own colours, nothing of the picture
    field, views, *_ = kept(tmp_path / "job", torch.device("cpu"))
    assert field.outline is None
    assert views.names[1:9] == tuple("01234567") or views.names[5:9] == ("8", "9", "10", "11")
    assert views.names[9:13] == ("0_0", "0_1", "0_2", "0_3")

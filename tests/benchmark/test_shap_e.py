"""Shap-E in the benchmark: with networks of a toy's size, on a CPU."""

from __future__ import annotations

import pytest
import torch

from benchmark.example_images import FOLDER
from benchmark.shap_e import ShapESize, image_to_mesh, text_to_mesh

SIZE = ShapESize(hidden=16, width=64, layers=2, image_width=64, image_layers=1, text_width=64, text_layers=1)


@pytest.mark.slow
@pytest.mark.parametrize("make_run", [image_to_mesh, text_to_mesh])
def test_random_weights_make_the_mesh_of_a_cube(make_run):
    mesh = make_run(SIZE, FOLDER / "mug.png", 2, torch.device("cpu"), torch.float32)()
    assert len(mesh.verts) == 6 * 128**2 and len(mesh.faces) == 2 * (len(mesh.verts) - 2)
    assert set(mesh.vertex_channels) == set("RGB") and all(map(torch.isfinite, mesh.verts.abs().amax(0)))
    assert 0.98 < mesh.verts.abs().amax() < 1

"""The Python interface: every kind of input, the same mesh; what is returned and what is saved."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from backend import ImageToMesh, api
from backend.errors import Cancelled, UserError
from backend.progress import ProgressEvent
from tests.helpers.images import shaded_disc
from tests.helpers.paths import ROOT

SMALL = {"faces": 500, "texture_size": 256, "elevation": 20.0, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def pipeline(weights) -> ImageToMesh:
    torch.set_num_threads(1)
    return ImageToMesh.from_pretrained(weights, device="cpu")


@pytest.fixture(scope="module")
def rgba() -> np.ndarray:
    return shaded_disc()


@pytest.fixture(scope="module")
def result(pipeline, rgba) -> api.ImageToMeshOutput:
    return pipeline(rgba, **SMALL)


def test_path_pillow_and_arrays_give_the_same_mesh(pipeline, rgba, result, tmp_path):
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    sources = (tmp_path / "disc.png", str(tmp_path / "disc.png"), Image.open(tmp_path / "disc.png"))
    for source in (*sources, rgba.astype(np.float64) / 255):
        other = pipeline(source, **SMALL)
        assert np.array_equal(other.mesh.vertices, result.mesh.vertices), type(source)
        assert np.array_equal(np.asarray(other.texture), np.asarray(result.texture))


def test_mask_takes_the_place_of_the_alpha_channel(pipeline, rgba, result):
    masked = pipeline(rgba[..., :3], mask=rgba[..., [3] * 3], **SMALL)
    assert masked.report["foreground"] == "mask"
    np.testing.assert_allclose(masked.views.masks[0], result.views.masks[0], atol=0.01)


def test_generator_and_seed_decide_the_generated_views(pipeline, rgba, result):
    seeded = pipeline(rgba, generator=7, **SMALL)
    generator = torch.Generator().manual_seed(7)
    assert np.array_equal(pipeline(rgba, generator=generator, **SMALL).views.images, seeded.views.images)
    assert np.array_equal(pipeline(rgba, generator=0, **SMALL).views.images, result.views.images)
    assert not np.array_equal(seeded.views.images, result.views.images)


def test_low_memory_changes_nothing_without_a_gpu(weights, rgba, result):
    other = ImageToMesh.from_pretrained(weights, device="cpu", low_memory=True)(rgba, **SMALL)
    assert np.array_equal(other.mesh.vertices, result.mesh.vertices)
    assert np.array_equal(np.asarray(other.texture), np.asarray(result.texture))


def test_result_has_a_textured_mesh_views_and_a_report(result):
    assert isinstance(result.mesh, trimesh.Trimesh) and len(result.mesh.faces) == 500
    assert result.mesh.visual.uv.shape == (len(result.mesh.vertices), 2)
    assert result.mesh.visual.material.baseColorTexture.size == result.texture.size == (256, 256)
    assert result.views.names == ("input", *"01234567")
    assert result.report["elevation"]["degrees"] == 20 and result.report["mesh"]["watertight"]
    assert {"picture", "load", "views", "surface", "mesh", "texture"} == set(result.report["seconds"])


def test_saved_file_reads_back(result, tmp_path):
    result.save(tmp_path / "disc.glb")
    again = trimesh.load(tmp_path / "disc.glb", force="mesh", process=False)
    assert np.array_equal(again.faces, result.mesh.faces) and np.allclose(again.vertices, result.mesh.vertices)
    assert [path.name for path in tmp_path.iterdir()] == ["disc.glb"]
    with pytest.raises(UserError, match=r"does not end in \.glb"):
        result.save(tmp_path / "disc.obj")


def test_listener_is_called_and_may_cancel(pipeline, rgba):
    events: list[ProgressEvent] = []

    def listen(event: ProgressEvent) -> None:
        events.append(event)
        if event.stage == "views" and event.fraction > 0.2:
            raise Cancelled

    with pytest.raises(Cancelled):
        pipeline(rgba, listener=listen, **SMALL)
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((64, 64), np.uint8), "is not an image"),
        (np.zeros((64, 64, 2), np.uint8), "is not an image"),
        (np.zeros((64, 64, 3), np.int64), "is not an image"),
        (np.full((64, 64, 3), 1.5), "outside 0 to 1"),
        (np.full((64, 64, 3), np.nan), "outside 0 to 1"),
        (np.zeros((8, 64, 3), np.uint8), "too small"),
        (Image.new("RGBA", (64, 64)), "fully transparent"),
        ("nowhere.png", "There is no file"),
    ],
)
def test_bad_images_are_refused_in_one_sentence(pipeline, image, words):
    with pytest.raises(UserError, match=words) as caught:
        pipeline(image)
    assert caught.value.code == "bad_image" and str(caught.value).endswith(".")


@pytest.mark.parametrize("changes", [{"faces": 3}, {"quality": "best"}, {"num_inference_steps": 0}, {"elevation": 80}])
def test_bad_arguments_are_refused(pipeline, rgba, changes):
    with pytest.raises(UserError) as caught:
        pipeline(rgba, **changes)
    assert caught.value.code == "bad_option"


def test_example_of_the_readme_runs(tmp_path, monkeypatch):
    """With the starter weights, as everybody has them."""
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "mug.png", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    lines = [line for line in api.__doc__.splitlines() if line.startswith(">>> ")]
    assert "\n".join(lines[:3]) in (ROOT / "README.md").read_text(encoding="utf-8") and len(lines) == 5
    outcome = doctest.testmod(api)
    assert outcome.attempted == 5 and outcome.failed == 0
    assert trimesh.load(Path("mug.glb"), force="mesh").faces.shape == (20_000, 3)


def test_import_of_the_package_does_not_import_torch():
    """Blender does so, and has none."""
    code = "import sys, backend, backend.options, backend.progress, backend.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    with pytest.raises(ImportError):
        from backend import nonsense  # noqa: F401

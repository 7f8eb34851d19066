"""The benchmark's commands, from files to numbers and back to tables."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from backend import camera
from backend.data_types import Cutout
from backend.io.tensors import read_tensors, write_tensors
from backend.options import Options
from backend.pipeline import Pipeline
from benchmark import contact_sheet, ground_truth, metrics, shapes
from benchmark.__main__ import main
from benchmark.ground_truth import GroundTruth
from benchmark.oracle import independent_plan, true_views
from benchmark.quality import evaluate_shape
from benchmark.shapes import ProceduralShape
from benchmark.summary import METHODS, VARIANTS, summarize
from objects.pack import write_pack
from procedural import scene
from procedural.held_out import save_scenes
from tests.helpers.ball_scene import ball_scene
from tests.helpers.training_runs import cube

pytestmark = pytest.mark.slow


def test_oracle_has_the_whole_plan_of_views_as_the_network_takes_them():
    truth = GroundTruth(ProceduralShape(ball_scene(elevation=30.0), 64), view_size=64)
    cutout = Cutout(truth.picture(size=128), "alpha", (0, 0, 128))
    views = true_views(truth, cutout, 32, independent_plan(30.0))
    assert views.images.shape == (41, 32, 32, 3)
    assert len(set(views.names)) == 41
    polar = np.degrees(np.arccos(views.camera_to_world[:, 2, 2]))
    by_name = dict(zip(views.names, polar, strict=True))
    assert by_name["input"] == pytest.approx(60, abs=0.01)
    assert by_name["4"] == pytest.approx(90, abs=0.01), "the second ring lies below"
    assert by_name["4_0"] == pytest.approx(80, abs=0.01)
    inside = views.masks > 0.99
    np.testing.assert_allclose(views.masks.mean((1, 2)), views.masks[0].mean(), rtol=0.03)
    assert views.images[~(views.masks > 0)].min() > 0.99
    assert views.images[inside][:, 2].max() < 0.6


@pytest.mark.parametrize("elevation", [-5.0, 10.0, 30.0])
def test_oracle_has_the_views_that_joint_weights_generate(elevation):
    truth = GroundTruth(ProceduralShape(ball_scene(elevation=elevation), 64), view_size=64)
    cutout = Cutout(truth.picture(size=64), "alpha", (0, 0, 64))
    views = true_views(truth, cutout, 32, camera.joint_plan(elevation, "rings, above and below"))
    assert views.names[:3] == ("input", "above", "below")
    assert len(set(views.names)) == len(views.images) == len(views.masks) == 10
    polar = np.degrees(np.arccos(views.camera_to_world[:, 2, 2]))
    assert polar[:3] == pytest.approx((90 - elevation, 10, 120), abs=0.01)
    assert (views.masks.mean((1, 2)) > 0.1).all()


def test_commands_take_a_ball_from_files_to_numbers_and_tables(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scene, "HELD_OUT_PATH", tmp_path / "held_out.npz")
    monkeypatch.setattr(shapes, "RESOLUTION", 96)
    monkeypatch.setattr(ground_truth, "VIEW_SIZE", 64)
    monkeypatch.setattr(metrics, "SAMPLES", 10_000)
    save_scenes(scene.HELD_OUT_PATH, [ball_scene("a", "held_out_families", elevation=35.0)])
    write_pack(tmp_path / "pack.npz", [cube(number) for number in (49, 50)])
    flags = ["--weights", str(weights), "--faces", "2000", "--texture-size", "256"]
    flags += ["--objects", str(tmp_path / "pack.npz")]
    numbers, page = tmp_path / "out.json", tmp_path / "out.md"
    assert main(["quality", *flags, "--true-elevation", "--back", "--json", str(numbers), "--markdown", str(page)]) == 0
    measured = json.loads(numbers.read_text())
    assert [result["name"] for result in measured["shapes"]] == ["a", "pack-50"]
    assert set(measured["groups"]) == {"held_out_families", "real_objects"}
    assert all(set(result["methods"]) == set(METHODS) for result in measured["shapes"])
    for result in measured["shapes"][:1]:
        methods = result["methods"]
        assert result["genus"] == methods["image_to_mesh"]["genus"] == 0
        assert methods["true_elevation"]["f05"] > 0.95
        assert methods["back_given"]["f05"] > 0.95
        assert methods["image_to_mesh"]["f05"] > 0.95, "the weights know this ball"
        assert methods["oracle"]["f05"] > 0.95
        assert methods["sphere"]["f02"] > 0.95
        assert methods["image_to_mesh"]["silhouette_iou"] > 0.9
        assert methods["oracle"]["psnr_visible"] > methods["sphere"]["psnr_visible"] + 5, "the views were baked in"
        # Around the image's side, colors come from views that random weights generate: no better than one mean color.
        assert methods["image_to_mesh"]["psnr_visible"] > methods["box"]["psnr_visible"]
    assert "image to mesh" in capsys.readouterr().out
    for words in ("Families never trained on", "Real objects never trained on", "… image of the back given"):
        assert words in page.read_text()

    flags = [*flags[: flags.index("--objects")], "--elevation", "35"]  # estimated above
    sheet = tmp_path / "sheet.jpg"
    assert main(["sheet", str(sheet), *flags]) == 0
    with Image.open(sheet) as image:
        assert image.size[0] == contact_sheet.COLUMNS * 8 * contact_sheet.TILE + contact_sheet.GAP

    seconds = tmp_path / "speed.json"
    assert main(["speed", *flags, "--json", str(seconds)]) == 0
    assert "Peak memory" in capsys.readouterr().out
    assert json.loads(seconds.read_text())["tflop"] > 0
    assert main(["page", str(numbers), str(seconds), str(page)]) == 0
    assert "## Speed" in page.read_text()


def test_quality_records_a_shape_without_a_mesh(weights, tmp_path):
    broken = tmp_path / "weights"
    shutil.copytree(weights, broken)
    tensors = read_tensors(broken / "surface" / "model.safetensors")
    tensors["decoder.layers.4.bias"][0] += 100  # everything is outside
    write_tensors(broken / "surface" / "model.safetensors", tensors, quantize=False)
    truth = GroundTruth(ProceduralShape(ball_scene(), 64), view_size=64)
    options = Options(weights=str(broken), elevation=20)  # to estimate it takes as long as all else
    result = evaluate_shape(truth, Pipeline(), options, VARIANTS)
    assert "object" in result["failed"]
    assert set(result["methods"]) == {"sphere", "box", "inflated"}
    group = summarize([result])["in_distribution"]
    assert group["methods"]["image_to_mesh"]["f05"]["mean"] == group["methods"]["oracle"]["f05"]["mean"] == 0
    assert group["failed"] == 1

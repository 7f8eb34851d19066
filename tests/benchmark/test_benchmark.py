"""The benchmark's own machinery: tables, the way back into the picture's frame, and one run from file to file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from backend import camera
from backend.io.tensors import read_tensors, write_tensors
from backend.options import Options
from backend.pipeline import Pipeline
from backend.types import Cutout, Mesh
from benchmark import contact_sheet, quality, report
from benchmark.baselines import painted
from benchmark.ground_truth import Truth, choose, score
from procedural import scene
from procedural.families.materials import patterned
from procedural.families.primitives import ellipsoid, to_rows
from procedural.scene import Scene
from procedural.schema import Pattern
from tests.helpers.tiny import RADIUS


def ball_scene(name="ball", group="in_distribution", elevation=20.0, radius=RADIUS, offset=(0.0, 0.0, 0.0)):
    """A ball in two colors as the real scenes are written down."""
    material = patterned((0.9, 0.2, 0.1), (0.9, 0.9, 0.3), Pattern.STRIPES, 3.0, 0)
    rows = to_rows([ellipsoid((0, 0, 0), radius, material)])
    object_to_world = np.array([1, *offset, 1, 0], np.float32)
    return Scene(name, "ball", group, elevation, rows, object_to_world, np.array([0, -0.6, 0.8, 0.6], np.float32))


def numbers(f05, **others):
    return dict.fromkeys((*report.COLUMNS, *report.SPLIT), 0.5) | {"f05": f05} | others


def results():
    def one(index, ours):
        floors = {"sphere": numbers(0.3), "box": numbers(0.4), "inflated": numbers(0.6)}
        return {
            "name": f"mug-{index}",
            "family": "mug",
            "group": "in_distribution",
            "elevation": 20.0,
            "elevation_found": {"degrees": 24.0, "source": "matched", "confidence": 0.5},
            "seconds": {"views": 10.0 + index, "mesh": 1.0},
            "methods": floors | {"ceiling": numbers(0.99)} | ({"ours": ours} if ours else {}),
        }

    failed = one(9, None)
    del failed["seconds"], failed["elevation_found"]
    good = [
        one(index, numbers(0.9, chamfer=0.01 * index, volume_iou=None if index == 0 else 0.5)) for index in range(9)
    ]
    return [*good, failed | {"failed": "No object was found."}]


def test_a_shape_without_a_mesh_counts_as_nothing_found():
    group = report.summarize(results())["in_distribution"]
    ours = group["methods"]["ours"]
    assert ours["f05"]["mean"] == pytest.approx(0.81)
    assert ours["f05"]["median"] == 0.9
    assert ours["f05"]["worst_tenth"] == pytest.approx(0.81)
    assert ours["chamfer"]["mean"] == pytest.approx(0.04)
    assert ours["chamfer"]["worst_tenth"] == pytest.approx(0.072), "large is bad here"
    assert ours["psnr"]["mean"] == 0.5
    assert group["above_best_floor_f05"] == pytest.approx(0.21)
    assert (group["shapes"], group["failed"], group["watertight"]) == (10, 1, 8)
    assert group["elevation_error"]["mean"] == 4


def test_tables_hold_what_was_measured():
    measured = results()
    whole = {
        "setting": report.setting(Options(), 512, False),
        "groups": report.summarize(measured),
        "seconds": report.times([one["seconds"] for one in measured if "seconds" in one]),
        "shapes": measured,
    }
    assert whole["seconds"]["views"] == {"p50": 14.0, "p90": pytest.approx(17.2)}
    assert whole["seconds"]["total"]["p50"] == 15
    page = report.markdown(whole)
    rows = [line for line in page.splitlines() if line.startswith("| picture to mesh")]
    assert "0.810" in rows[0]
    assert "0.9" in rows[2]
    assert "mug-9" in page
    assert "No object was found." in page
    assert whole["setting"]["commit"] in page
    for line in page.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    assert "nan" not in page
    text = json.dumps(report.plain(whole), allow_nan=False)
    assert json.loads(text)["groups"]["in_distribution"]["shapes"] == 10
    assert "0.810" in report.table(whole)


def test_nothing_measured_is_told_without_numbers():
    only = [results()[-1]]
    page = report.table({"groups": report.summarize(only), "seconds": report.times([])})
    assert "| -" in page.replace("  ", " ") or " - |" in page


def test_a_mistaken_elevation_is_taken_back_before_measuring():
    truth = Truth(ball_scene(offset=(0.05, 0.0, 0.1)), resolution=64, view_size=64)
    assumed = camera.camera_to_world(90.0 - 50.0, 0.0)
    turned = assumed.astype(float) @ np.linalg.inv(truth.pose.astype(float))
    mistaken = quality.moved(painted(truth.mesh, np.full(3, 0.5)), turned)
    assert score(truth, mistaken)["f05"] < 0.9
    back = quality.in_picture(assumed, truth.pose, (0, 0, 512), 512)
    assert score(truth, quality.moved(mistaken, back))["f02"] == 1


def test_a_small_object_off_the_center_is_put_back_where_the_picture_shows_it():
    truth = Truth(ball_scene(radius=0.3, offset=(0.06, 0.0, -0.04)), resolution=96, view_size=64)
    picture = truth.picture(256)
    rows, columns = np.nonzero(picture[..., 3] > 0.5)
    side = (np.ptp(columns) + 1) / 0.75
    canvas = (columns.mean() + 0.5 - side / 2, rows.mean() + 0.5 - side / 2, side)
    radius = camera.RADIUS * np.sin(np.arctan(0.375 / camera.FOCAL))
    shape = (truth.mesh.vertices - np.float32((0.06, 0, -0.04))) * np.float32(radius / 0.3)
    filling = painted(Mesh(shape, truth.mesh.faces), np.full(3, 0.5))
    back = quality.in_picture(truth.pose, truth.pose, canvas, 256)
    found = score(truth, quality.moved(filling, back))
    assert score(truth, filling)["silhouette_iou"] < 0.65
    assert found["silhouette_iou"] > 0.92
    assert found["f05"] > 0.95


def test_true_views_are_the_whole_plan_as_the_network_takes_it():
    truth = Truth(ball_scene(elevation=30.0), resolution=64, view_size=64)
    picture = truth.picture(128)
    views = quality.true_views(truth, Cutout(picture, "alpha", (0, 0, 128)), 32)
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


def write_held_out(path, scenes):
    names = ("name", "family", "group", "elevation", "rows", "object_to_world", "light")
    arrays = {name: np.array([getattr(scene, name) for scene in scenes]) for name in names}
    np.savez(path, **arrays, count=[len(scene.rows) for scene in scenes])


def test_a_ball_goes_from_file_to_numbers_and_back_out_as_tables(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scene, "HELD_OUT_PATH", tmp_path / "held_out.npz")
    write_held_out(scene.HELD_OUT_PATH, [ball_scene("a", "held_out_families", elevation=35.0)])
    flags = ["--weights", str(weights), "--faces", "2000", "--texture-size", "256"]
    files = tmp_path / "out.json", tmp_path / "out.md"
    assert quality.main(["quality", *flags, "--json", str(files[0]), "--markdown", str(files[1])]) == 0
    found = json.loads(files[0].read_text())
    assert [one["name"] for one in found["shapes"]] == ["a"]
    for one in found["shapes"]:
        assert set(one["methods"]) == set(report.METHODS)
        assert one["methods"]["ours"]["f05"] > 0.95, "the weights know this ball"
        assert one["methods"]["ceiling"]["f05"] > 0.95
        assert one["methods"]["sphere"]["f02"] > 0.95
        assert one["methods"]["ours"]["silhouette_iou"] > 0.9
        assert one["methods"]["ours"]["psnr_seen"] > one["methods"]["sphere"]["psnr_seen"], "the picture was baked in"
    assert "picture to mesh" in capsys.readouterr().out
    assert "Families never trained on" in files[1].read_text()

    sheet = tmp_path / "sheet.jpg"
    assert quality.main(["sheet", str(sheet), *flags]) == 0
    with Image.open(sheet) as drawn:
        assert drawn.size[0] == contact_sheet.ACROSS * 8 * contact_sheet.TILE + contact_sheet.GAP
    assert quality.main(["speed", *flags]) == 0
    assert "peak memory" in capsys.readouterr().out


def test_a_scene_without_a_mesh_is_recorded_and_not_fatal(weights, tmp_path):
    broken = tmp_path / "weights"
    shutil.copytree(weights, broken)
    tensors = read_tensors(broken / "surface" / "model.safetensors")
    tensors["decoder.layers.4.bias"][0] += 100  # everything is outside
    write_tensors(broken / "surface" / "model.safetensors", tensors, quantize=False)
    network = quality.surface.load(broken / "surface")
    truth = Truth(ball_scene(), resolution=64, view_size=64)
    found = quality.judge(truth, Pipeline(), network, Options(weights=str(broken)), tmp_path / "job")
    assert "object" in found["failed"]
    assert set(found["methods"]) == {"sphere", "box", "inflated"}
    group = report.summarize([found])["in_distribution"]
    assert group["methods"]["ours"]["f05"]["mean"] == group["methods"]["ceiling"]["f05"]["mean"] == 0
    assert group["failed"] == 1


def test_the_sheet_shows_shapes_evenly_and_stays_small():
    scenes = [ball_scene(f"s{index}") for index in range(31)] + [
        ball_scene(f"f{index}", "held_out_families") for index in range(9)
    ]
    chosen = choose(scenes, contact_sheet.SHAPES)
    assert [scene.name for scene in chosen][:2] == ["s0", "s2"]
    assert len(chosen) == 24
    noise = np.random.default_rng(0).integers(0, 255, (contact_sheet.TILE, 8 * contact_sheet.TILE, 3), np.uint8)
    sheet = contact_sheet.draw({"in_distribution": [noise] * 16, "held_out_families": [noise] * 7})
    assert sheet.size[1] > 12 * contact_sheet.TILE
    corner = np.asarray(sheet)[3 * contact_sheet.GAP :, : 8 * contact_sheet.TILE]
    np.testing.assert_array_equal(corner[: contact_sheet.TILE], noise)

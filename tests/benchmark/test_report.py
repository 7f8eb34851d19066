"""The benchmark's statistics, tables and page."""

from __future__ import annotations

import json

import pytest

from backend.options import Options
from benchmark import report
from benchmark.run_info import run_info
from benchmark.summary import (
    METRICS,
    VISIBILITY_METRICS,
    genus_error,
    is_genus_right,
    summarize,
    summarize_seconds,
    without_nan,
    write_json,
)


def scores(f05, **others):
    numbers = dict.fromkeys((*METRICS, *VISIBILITY_METRICS, "torn_pixels"), 0.5)
    return numbers | {"f05": f05, "genus": 1} | others


def make_result(number, image_to_mesh):
    methods = {"sphere": scores(0.3), "box": scores(0.4), "inflated": scores(0.6), "oracle": scores(0.99)}
    return {
        "name": f"mug-{number}",
        "family": "mug",
        "group": "in_distribution",
        "elevation": 20.0,
        "genus": 2,
        "watertight": image_to_mesh is not None,
        "estimated_elevation": {"degrees": 24.0, "source": "matched", "confidence": 0.5},
        "seconds": {"views": 10.0 + number, "mesh": 1.0},
        "methods": methods | ({"image_to_mesh": image_to_mesh} if image_to_mesh else {}),
    }


@pytest.fixture
def results():
    """Nine scenes with a mesh and one without."""
    failed = make_result(9, None) | {"failed": "No object was found."}
    del failed["seconds"], failed["estimated_elevation"]
    volumes = [None, *[0.5] * 8]
    meshes = [scores(0.9, chamfer=0.01 * number, volume_iou=iou) for number, iou in enumerate(volumes)]
    return [*(make_result(number, mesh) for number, mesh in enumerate(meshes)), failed]


def test_summary_counts_a_missing_mesh_as_zero(results):
    group = summarize(results)["in_distribution"]
    statistics = group["methods"]["image_to_mesh"]
    assert statistics["f05"]["mean"] == pytest.approx(0.81)
    assert statistics["f05"]["median"] == 0.9
    assert statistics["f05"]["p10"] == pytest.approx(0.81)
    assert statistics["chamfer"]["mean"] == pytest.approx(0.04)
    assert statistics["chamfer"]["p10"] == pytest.approx(0.072), "large is bad here"
    assert statistics["psnr"]["mean"] == 0.5
    assert group["f05_above_best_baseline"] == pytest.approx(0.21)
    assert (group["shapes"], group["failed"], group["watertight"]) == (10, 1, 9)
    assert statistics["genus_right"]["mean"] == pytest.approx(0.9)
    assert statistics["genus_error"]["mean"] == 1
    assert statistics["torn_pixels"]["mean"] == 0.5
    assert group["elevation_error"]["mean"] == 4


def test_page_holds_what_was_measured(results):
    quality = {
        "run": run_info(Options(), 512),
        "groups": summarize(results),
        "seconds": summarize_seconds([result["seconds"] for result in results if "seconds" in result]),
        "shapes": results,
    }
    assert quality["seconds"]["views"] == {"p50": 14.0, "p90": pytest.approx(17.2)}
    assert quality["seconds"]["total"]["p50"] == 15
    page = report.quality_page(quality)
    rows = [line for line in page.splitlines() if line.startswith("| image to mesh")]
    assert "0.810" in rows[0]
    assert "0.9" in rows[2]
    assert "mug-9" in page
    assert "No object was found." in page
    assert quality["run"]["commit"] in page
    for line in page.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    assert "nan" not in page
    text = json.dumps(without_nan(quality), allow_nan=False)
    assert json.loads(text)["groups"]["in_distribution"]["shapes"] == 10
    assert "0.810" in report.quality_text(quality)


def test_page_has_a_section_on_speed(results, tmp_path):
    runs = [{"views": 9.5, "total": 18.0}, {"views": 10.5, "total": 22.0}]
    memory = {"main": 1205.75, "gpu": None}
    speed = {
        "run": run_info(Options(), 512),
        "seconds": summarize_seconds(runs),
        "peak_memory_mib": memory,
        "tflop": 0.678,
        "runs": runs,
    }
    write_json(tmp_path / "out" / "speed.json", speed)
    speed = json.loads((tmp_path / "out" / "speed.json").read_text())
    quality = {"run": speed["run"], "groups": summarize(results), "seconds": {}, "shapes": results}
    section = report.quality_page(quality, speed).split("## Speed")[1].split("## ")[0]
    assert "| views |     10.0 |              10.4 |" in section
    assert "| total |     20.0 |              21.6 |" in section
    assert "Peak memory: main 1206 MiB." in section
    assert "2 images" in section
    assert "0.68 TFLOP" in section


def test_text_has_no_numbers_where_nothing_was_measured(results):
    text = report.quality_text({"groups": summarize([results[-1]]), "seconds": summarize_seconds([])})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    means = dict(zip(METRICS, next(row for row in rows if row[0] == "image to mesh")[1:], strict=True))
    assert means == dict.fromkeys(METRICS, "0.000") | dict.fromkeys(("chamfer", "normal_consistency", "psnr"), "-")
    stages = rows.index(["stage", "median s", "90th percentile s"])
    assert set("".join(rows[stages + 1])) == {"-", ":"}
    assert rows[stages + 2] == ["", "measured", "goal", "reached"], "no stage below the header"
    assert "Elevation error: median nan" not in text


@pytest.mark.parametrize(
    ("found", "true", "right", "error"),
    [(0, 0, 1, 0), (2, 1, 1, 1), (0, 1, 1, 1), (26, 1, 0, 25), (3, 5, 0, 2), (None, 0, 0, None), (4, None, None, None)],
)
def test_genus_may_be_wrong_by_one(found, true, right, error):
    assert is_genus_right(found, true) == right
    assert genus_error(found, true) == error


def goal_rows(quality, speed=None):
    lines = report.goals_table(quality, speed).splitlines()[2:]
    cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    return {title: numbers for title, *numbers in cells}


def test_goals_are_compared_with_what_was_measured(results):
    real = [result | {"group": "real_objects"} for result in results[:9]]
    for result in real:
        result["methods"] = result["methods"] | {"back_given": scores(0.93)}
    speed = {"seconds": {"total": {"p50": 9.9}}, "tflop": 1.7}
    rows = goal_rows(without_nan({"groups": summarize([*results, *real])}), speed)
    assert rows["new shapes of known families, F@.05"] == ["0.810", "≥ 0.930", "no"]
    assert rows["real objects, F@.05"] == ["0.900", "≥ 0.720", "yes"]
    assert rows["real objects, F@.05 above the best baseline"] == ["0.300", "≥ 0.100", "yes"]
    assert rows["real objects, F@.05 gained by an image of the back"] == ["0.030", "≥ 0.040", "no"]
    assert rows["seconds for one image, median"] == ["9.9", "≤ 15.0", "yes"]
    assert rows["TFLOP for one image"] == ["1.70", "≤ 1.50", "no"]
    assert rows["families never trained on, F@.05"] == ["-", "≥ 0.750", "-"]


def test_goals_without_the_variant_or_the_speed_are_not_measured(results):
    rows = goal_rows({"groups": summarize(results)})
    for title in ("seconds for one image, median", "real objects, F@.05 gained by an image of the back"):
        assert (rows[title][0], rows[title][2]) == ("-", "-")
    assert rows["genus right within one, new shapes of known families"] == ["0.90", "≥ 0.80", "yes"]

"""What was measured on many shapes, as means, medians and percentiles of each metric. Plain values, ready for JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

METRICS = ("f05", "f02", "f10", "chamfer", "normal_consistency", "volume_iou", "silhouette_iou", "psnr")
VISIBILITY_METRICS = (
    "recall_visible_05",
    "recall_hidden_05",
    "recall_visible_02",
    "recall_hidden_02",
    "psnr_visible",
    "psnr_hidden",
    "color_visible",
    "color_hidden",
)
"""Metrics of the points, or the pixels, that the input camera sees, and of the others."""
TOPOLOGY_METRICS = ("torn_pixels", "genus_right", "genus_error")
BASELINES = ("sphere", "box", "inflated")
TRUE_ELEVATION, BACK_GIVEN = VARIANTS = ("true_elevation", "back_given")
"""What the pipeline can be measured with besides one image: the camera's elevation, or a second image, of the back."""
METHODS = ("image_to_mesh", *VARIANTS, *BASELINES, "oracle")
LOWER_IS_BETTER = {"chamfer", "color_visible", "color_hidden", "torn_pixels", "genus_error"}
ZERO_WITHOUT_MESH = {"f05", "f02", "f10", "volume_iou", "silhouette_iou", *VISIBILITY_METRICS[:4], "genus_right"}
"""A shape for which a method gave no mesh counts as 0 in these metrics; in the others it is left out."""


def summarize(results: list[dict]) -> dict:
    """Results of ``quality.evaluate_shape`` -> per group and method the statistics of each metric, with counts."""
    measured = {name for result in results for name in result["methods"]} | {"image_to_mesh", *BASELINES, "oracle"}
    groups = {}
    for group in dict.fromkeys(result["group"] for result in results):
        members = [result for result in results if result["group"] == group]
        methods = {name: _summarize_method(members, name) for name in METHODS if name in measured}
        best_baseline = max(methods[name]["f05"]["mean"] for name in BASELINES)
        estimated = [member for member in members if "estimated_elevation" in member]
        errors = [abs(member["estimated_elevation"]["degrees"] - member["elevation"]) for member in estimated]
        groups[group] = {
            "shapes": len(members),
            "failed": sum("failed" in member for member in members),
            "watertight": sum(member.get("watertight", False) for member in members),
            "genus_known": sum(member["genus"] is not None for member in members),
            "elevation_error": _statistics(errors, lower_is_better=True),
            "f05_above_best_baseline": methods["image_to_mesh"]["f05"]["mean"] - best_baseline,
            "methods": methods,
        }
    return groups


def is_genus_right(found: int | None, true: int | None) -> float | None:
    """1.0 where the number of handles is right within one, 0.0 where it is not or there is none, None where the true
    one is not known."""
    return None if true is None else float(found is not None and abs(found - true) <= 1)


def genus_error(found: int | None, true: int | None) -> float | None:
    """By how many handles there are too many or too few, None where either number is not known."""
    return None if true is None or found is None else float(abs(found - true))


def _summarize_method(results: list[dict], method: str) -> dict:
    scores = [
        score and score | {"genus_right": is_genus_right(*numbers), "genus_error": genus_error(*numbers)}
        for result in results
        for score in [result["methods"].get(method)]
        for numbers in [(score and score["genus"], result["genus"])]
    ]
    statistics = {}
    for metric in (*METRICS, *VISIBILITY_METRICS, *TOPOLOGY_METRICS):
        missing = 0.0 if metric in ZERO_WITHOUT_MESH else math.nan
        values = [missing if score is None else score[metric] for score in scores]
        values = [math.nan if value is None else value for value in values]
        statistics[metric] = _statistics(values, metric in LOWER_IS_BETTER)
    return statistics


def _statistics(values: list[float], lower_is_better: bool) -> dict[str, float]:
    """Mean, median and the value that nine tenths are better than, ``p10``, of all values that are not NaN."""
    numbers = np.array([value for value in values if not math.isnan(value)])
    if not len(numbers):
        return dict.fromkeys(("mean", "median", "p10"), math.nan)
    p10 = np.percentile(numbers, 90 if lower_is_better else 10)
    return {"mean": float(numbers.mean()), "median": float(np.median(numbers)), "p10": float(p10)}


def summarize_seconds(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Seconds of each stage of many runs -> per stage, and in ``total``, the 50th and 90th percentiles."""
    runs = [run if "total" in run else run | {"total": sum(run.values())} for run in runs]
    stages = dict.fromkeys(stage for run in runs for stage in run)
    return {
        stage: dict(zip(("p50", "p90"), np.percentile([run.get(stage, 0.0) for run in runs], (50, 90)), strict=True))
        for stage in stages
    }


def without_nan(value):
    """The same plain value for JSON, which has no NaN: None instead."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_json(path: Path, values: dict) -> None:
    """Write plain values; a missing folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(without_nan(values), indent=1) + "\n", encoding="utf-8")

"""Tables of numbers in Markdown that also reads well as plain text."""

from __future__ import annotations

import math

from .summary import METHODS, METRICS, TOPOLOGY_METRICS, VISIBILITY_METRICS

METRIC_TITLES = {
    "f05": "F@.05",
    "f02": "F@.02",
    "f10": "F@.1",
    "chamfer": "Chamfer",
    "normal_consistency": "Normals",
    "volume_iou": "Volume IoU",
    "silhouette_iou": "Silhouette IoU",
    "psnr": "PSNR",
    "recall_visible_05": "Recall@.05 visible",
    "recall_hidden_05": "hidden",
    "recall_visible_02": "Recall@.02 visible",
    "recall_hidden_02": "hidden",
    "psnr_visible": "PSNR visible",
    "psnr_hidden": "hidden",
    "color_visible": "Color error visible",
    "color_hidden": "hidden",
    "torn_pixels": "Torn pixels",
    "genus_right": "Genus right",
    "genus_error": "Genus error",
}
DIGITS = {"psnr": 2, "chamfer": 4, "torn": 1, "genus": 2}
"""Digits after the point, by the first word of a metric's name; 3 for the others."""
METHOD_TITLES = {
    "image_to_mesh": "image to mesh",
    "true_elevation": "… true elevation given",
    "back_given": "… image of the back given",
    "sphere": "baseline: sphere",
    "box": "baseline: box",
    "inflated": "baseline: inflated silhouette",
    "oracle": "oracle: true views",
}


def method_table(group: dict, metrics: tuple[str, ...], statistic: str) -> str:
    """One group of a summary: a row per method, a column per metric."""
    rows = [["", *(METRIC_TITLES[metric] for metric in metrics)]]
    for method in filter(group["methods"].__contains__, METHODS):
        values = (group["methods"][method][metric][statistic] for metric in metrics)
        rows.append([METHOD_TITLES[method], *map(_format, values, metrics)])
    return table(rows)


def mean_tables(group: dict) -> str:
    """All tables of means of one group."""
    return "\n\n".join(
        method_table(group, metrics, "mean") for metrics in (METRICS, VISIBILITY_METRICS, TOPOLOGY_METRICS)
    )


def shape_table(results: list[dict]) -> str:
    """A row per shape: the pipeline's metrics, the oracle's F-score, true and found genus and elevation."""
    metrics = [METRIC_TITLES[metric] for metric in METRICS]
    rows = [["", *metrics, "Oracle F@.05", "Torn pixels", "Genus", "found", "Elevation", "estimated"]]
    for result in results:
        scores, estimated = result["methods"].get("image_to_mesh"), result.get("estimated_elevation")
        numbers = [_format(scores[metric], metric) if scores else "-" for metric in METRICS]
        oracle = _format(result["methods"].get("oracle", {}).get("f05"), "f05")
        torn = _format(scores["torn_pixels"], "torn_pixels") if scores else "-"
        genus = [format_number(value, 0) for value in (result["genus"], scores["genus"] if scores else None)]
        elevation = f"{estimated['degrees']:.0f} ({estimated['source']})" if estimated else result["failed"]
        rows.append([result["name"], *numbers, oracle, torn, *genus, f"{result['elevation']:.0f}", elevation])
    return table(rows)


def seconds_table(seconds: dict) -> str:
    """A row per stage: median and 90th percentile in seconds."""
    rows = [["stage", "median s", "90th percentile s"]]
    rows += [[stage, f"{value['p50']:.1f}", f"{value['p90']:.1f}"] for stage, value in seconds.items()]
    return table(rows)


def table(rows: list[list[str]]) -> str:
    """A header and rows of cells. The first column is aligned to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *numbers in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def format_number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; “-” where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _format(value: float | None, metric: str) -> str:
    return format_number(value, DIGITS.get(metric.partition("_")[0], 3))

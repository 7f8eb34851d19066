"""What the results are to reach, beside what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .summary import BACK_GIVEN
from .tables import format_number, table

SEEDS, FAMILIES, REAL = "in_distribution", "held_out_families", "real_objects"


@dataclass(frozen=True)
class Goal:
    """One number and its limit."""

    title: str
    limit: float
    measure: Callable[[dict, dict], float]
    """The number from what ``quality`` and ``speed`` wrote; raises KeyError where it was not measured."""
    digits: int = 3
    is_most: bool = False
    """The number may be at most ``limit``, not at least."""


def _mean(group: str, metric: str, method: str = "image_to_mesh") -> Callable[[dict, Any], float]:
    return lambda quality, _: quality["groups"][group]["methods"][method][metric]["mean"]


def _gain_by_back(quality: dict, _: dict) -> float:
    return _mean(REAL, "f05", BACK_GIVEN)(quality, None) - _mean(REAL, "f05")(quality, None)


GOALS = (
    Goal("new shapes of known families, F@.05", 0.93, _mean(SEEDS, "f05")),
    Goal("the same, F@.02", 0.75, _mean(SEEDS, "f02")),
    Goal("families never trained on, F@.05", 0.75, _mean(FAMILIES, "f05")),
    Goal("the same, F@.02", 0.48, _mean(FAMILIES, "f02")),
    Goal("real objects, F@.05", 0.72, _mean(REAL, "f05")),
    Goal("the same, F@.02", 0.45, _mean(REAL, "f02")),
    Goal(
        "real objects, F@.05 above the best baseline", 0.10, lambda q, _: q["groups"][REAL]["f05_above_best_baseline"]
    ),
    Goal("real objects from true views, F@.05", 0.985, _mean(REAL, "f05", "oracle")),
    Goal("the same, F@.02", 0.93, _mean(REAL, "f02", "oracle")),
    Goal("normal consistency, new shapes of known families", 0.86, _mean(SEEDS, "normal_consistency")),
    Goal("normal consistency, real objects", 0.80, _mean(REAL, "normal_consistency")),
    Goal("genus right within one, new shapes of known families", 0.80, _mean(SEEDS, "genus_right"), digits=2),
    Goal(
        "elevation error in degrees, median, families never trained on",
        6.0,
        lambda quality, _: quality["groups"][FAMILIES]["elevation_error"]["median"],
        digits=1,
        is_most=True,
    ),
    Goal("seconds for one image, median", 15.0, lambda _, s: s["seconds"]["total"]["p50"], digits=1, is_most=True),
    Goal("TFLOP for one image", 1.5, lambda _, speed: speed["tflop"], digits=2, is_most=True),
    Goal("real objects, F@.05 gained by an image of the back", 0.04, _gain_by_back),
)


def goals_table(quality: dict, speed: dict | None = None) -> str:
    """A row per goal; “-” where it was not measured."""
    rows = [["", "measured", "goal", "reached"]]
    for goal in GOALS:
        try:
            value = goal.measure(quality, speed or {})
        except KeyError:
            value = math.nan
        # JSON has no NaN: what was not measured is None in a file.
        value = math.nan if value is None else value
        reached = value <= goal.limit if goal.is_most else value >= goal.limit
        limit = f"{'≤' if goal.is_most else '≥'} {format_number(goal.limit, goal.digits)}"
        verdict = "-" if math.isnan(value) else "yes" if reached else "no"
        rows.append([goal.title, format_number(value, goal.digits), limit, verdict])
    return table(rows)

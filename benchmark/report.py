"""The benchmark's numbers as tables, with all that is needed to judge and repeat them."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from backend.options import Options

COLUMNS = {
    "f05": "F@.05",
    "f02": "F@.02",
    "f10": "F@.1",
    "chamfer": "Chamfer",
    "normal_consistency": "Normals",
    "volume_iou": "Volume IoU",
    "silhouette_iou": "Outline IoU",
    "psnr": "PSNR",
}
SPLIT = {
    "recall_seen_05": "Recall@.05 seen",
    "recall_unseen_05": "unseen",
    "recall_seen_02": "Recall@.02 seen",
    "recall_unseen_02": "unseen ",
    "psnr_seen": "PSNR seen",
    "psnr_unseen": "unseen  ",
}
METHODS = {
    "ours": "picture to mesh",
    "sphere": "floor: sphere",
    "box": "floor: box",
    "inflated": "floor: inflated outline",
    "ceiling": "ceiling: true views",
}
GROUPS = {"in_distribution": "New shapes of families trained on", "held_out_families": "Families never trained on"}
LOW_IS_GOOD = {"chamfer"}
GEOMETRIC = {"f05", "f02", "f10", "volume_iou", "silhouette_iou", *(name for name in SPLIT if name[0] == "r")}
"""A shape without a mesh counts as 0 in these; in the others it is left out."""
DEFINITIONS = """\
Lengths are in units of the true shape's longest side; distances are between 100,000 points spread over each surface.
The prediction stands where the input camera saw the object: nothing is aligned or scaled.

- **F@t**: harmonic mean of precision and recall at distance t. **Chamfer**: mean of both one-way mean distances.
- **Normals**: mean |cos| between nearest points' normals, both ways. **Volume IoU**: on 128 cells a side.
- **Outline IoU**: silhouettes from the input camera.
- **PSNR** (dB): 24 views of 256 x 256 pixels on white, 12 at 30 degrees and 12 at 0 degrees of elevation; the truth
  under its own light, the prediction unlit, because its texture carries the picture's light.
- **Seen, unseen**: the true points (or the pixels that show them) that the input camera sees, or does not.
- **Floors** know the input's outline and the pipeline's elevation. **Ceiling**: our surface network and texture from
  the true views of the full 8 + 32 plan at the true elevation.
"""


def summarize(results: list[dict]) -> dict:
    """Per group and method: mean, median and worst tenth of each number, with counts."""
    groups = {}
    for group in dict.fromkeys(result["group"] for result in results):
        members = [result for result in results if result["group"] == group]
        methods = {name: _method([one["methods"].get(name) for one in members]) for name in METHODS}
        best = max(methods[name]["f05"]["mean"] for name in ("sphere", "box", "inflated"))
        groups[group] = {
            "shapes": len(members),
            "failed": sum("failed" in one for one in members),
            "watertight": sum(one["methods"].get("ours", {}).get("volume_iou") is not None for one in members),
            "elevation_error": _spread(
                [abs(one["elevation_found"]["degrees"] - one["elevation"]) for one in members if "seconds" in one], True
            ),
            "above_best_floor_f05": methods["ours"]["f05"]["mean"] - best,
            "methods": methods,
        }
    return groups


def _method(scores: list[dict | None]) -> dict:
    found = {}
    for key in (*COLUMNS, *SPLIT):
        values = [(0.0 if key in GEOMETRIC else math.nan) if one is None else one[key] for one in scores]
        found[key] = _spread([math.nan if value is None else value for value in values], key in LOW_IS_GOOD)
    return found


def _spread(values: list[float], low_is_good: bool) -> dict[str, float]:
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return dict.fromkeys(("mean", "median", "worst_tenth"), math.nan)
    worst = np.percentile(known, 90 if low_is_good else 10)
    return {"mean": float(known.mean()), "median": float(np.median(known)), "worst_tenth": float(worst)}


def times(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Per stage, and for all of them together: the median (p50) and the slowest tenth (p90) in seconds."""
    runs = [run if "total" in run else run | {"total": sum(run.values())} for run in runs]
    stages = dict.fromkeys(stage for run in runs for stage in run)
    return {
        stage: dict(zip(("p50", "p90"), np.percentile([run.get(stage, 0.0) for run in runs], (50, 90)), strict=True))
        for stage in stages
    }


def setting(options: Options, picture_size: int, true_elevation: bool) -> dict:
    """What was run, of which version, on what."""
    # A folder's name says enough: its path would be one machine's.
    told = {"elevation": "true" if true_elevation else options.elevation, "weights": Path(options.weights).name}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "options": options.to_dict() | told,
        "picture_size": picture_size,
        "hardware": {
            "processor": _processor(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "system": platform.system(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def peak_memory() -> dict[str, float | None]:
    """Most memory this process has held so far, and its tensors on the GPU, in MiB; None where it cannot be told."""
    try:
        import resource
    except ImportError:  # Windows
        main = None
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        main = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"main": main, "gpu": torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None}


def table(whole: dict) -> str:
    """The means for a terminal."""
    return (
        "\n\n".join(
            f"{_title(name, group)}\n{_grid(group, COLUMNS, 'mean')}\n\n{_grid(group, SPLIT, 'mean')}\n{_facts(group)}"
            for name, group in whole["groups"].items()
        )
        + f"\n\n{_time_lines(whole['seconds'])}"
    )


def speed_table(found: dict) -> str:
    """Stage times and memory for a terminal."""
    memory = ", ".join(f"{name} {value:.0f} MiB" for name, value in found["peak_memory_mib"].items() if value)
    return f"{_time_lines(found['seconds'])}\npeak memory: {memory}"


def markdown(whole: dict) -> str:
    """The whole benchmark as a page."""
    about, hardware = whole["setting"], whole["setting"]["hardware"]
    given = ", ".join(f"{name} {value}" for name, value in about["options"].items() if value is not None)
    machine = ", ".join(f"{name} {value}" for name, value in hardware.items() if value is not None)
    height = (
        "was told to the pipeline" if about["options"]["elevation"] == "true" else "had to be found by the pipeline"
    )
    parts = [
        "# Benchmark\n\nMade by `python3 -m backend benchmark quality`, not by hand.\n",
        f"Commit {about['commit']}, {about['date']}. Options: {given}. Machine: {machine}.\n",
        f"Input: one picture of {about['picture_size']} pixels a side with an alpha channel; the camera's elevation "
        f"{height}.\n",
        DEFINITIONS,
    ]
    for name, group in whole["groups"].items():
        parts.append(f"## {_title(name, group)}\n\n{_grid(group, COLUMNS, 'mean')}\n\n{_grid(group, SPLIT, 'mean')}\n")
        parts.append(f"{_facts(group)}\n")
        for kind, words in (("median", "Median"), ("worst_tenth", "Nine tenths of the shapes are better than")):
            parts.append(f"{words}:\n\n{_grid(group, COLUMNS, kind)}\n")
    parts.append(f"## Time\n\n{_time_lines(whole['seconds'])}\n\n## Every shape\n\n{_every_shape(whole['shapes'])}")
    return "\n".join(parts)


def plain(value):
    """The same for JSON, which knows no NaN: None instead."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _title(name: str, group: dict) -> str:
    return f"{GROUPS.get(name, name)} ({group['shapes']} shapes)"


def _facts(group: dict) -> str:
    error = group["elevation_error"]
    return (
        f"Above the best floor at F@.05: {group['above_best_floor_f05']:+.3f}. No mesh: {group['failed']}. Watertight: "
        f"{group['watertight']}. Elevation error: median {error['median']:.1f}, mean {error['mean']:.1f} degrees."
    )


def _grid(group: dict, columns: dict[str, str], kind: str) -> str:
    rows = [["", *columns.values()]]
    for key, name in METHODS.items():
        rows.append([name, *(_number(group["methods"][key][column][kind], column) for column in columns)])
    return _lines(rows)


def _every_shape(results: list[dict]) -> str:
    rows = [["", *COLUMNS.values(), "Ceiling F@.05", "Elevation", "found"]]
    for one in results:
        ours, found = one["methods"].get("ours"), one.get("elevation_found")
        numbers = [_number(ours[key], key) if ours else "-" for key in COLUMNS]
        ceiling = _number(one["methods"].get("ceiling", {}).get("f05"), "f05")
        height = f"{found['degrees']:.0f} ({found['source']})" if found else one["failed"]
        rows.append([one["name"], *numbers, ceiling, f"{one['elevation']:.0f}", height])
    return _lines(rows) + "\n"


def _time_lines(seconds: dict) -> str:
    rows = [["stage", "median s", "slowest tenth s"]]
    rows += [[stage, f"{one['p50']:.1f}", f"{one['p90']:.1f}"] for stage, one in seconds.items()]
    return _lines(rows)


def _lines(rows: list[list[str]]) -> str:
    """Markdown that also reads well as plain text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in pairs) + " |"
        for pairs in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    ]
    rule = "|" + "|".join("-" * (width + 2 - bool(i)) + ":" * bool(i) for i, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _number(value: float | None, column: str) -> str:
    if value is None or math.isnan(value):
        return "-"
    if column.startswith("psnr"):
        return f"{value:.2f}"
    return f"{value:.4f}" if column == "chamfer" else f"{value:.3f}"


def _commit() -> str:
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:  # not Linux
        pass
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {count} cores"

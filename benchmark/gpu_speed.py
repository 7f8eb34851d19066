"""Speed on a GPU, in one process: the full-size view model beside the reference's plan, and a picture to a mesh.

Every figure is the median of ``REPEATS`` runs after one that is not counted, unless it says first.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch

from backend.config import resolve_options
from backend.elevation_estimation.estimator import ElevationEstimation
from backend.errors import ErrorCode, UserError
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.preprocessing.foreground import cut_out
from backend.progress import ignore_progress
from backend.views.independent import IndependentViewModel
from backend.views.zero123.model import Zero123

from .example_images import FOLDER
from .full_size import REFERENCE_BATCH, REFERENCE_PLAN, full_size_model, sample_reference_plan
from .jobs import count_tflop
from .run_info import run_info
from .tables import table

EXAMPLE_IMAGE = FOLDER / "mug.png"
REPEATS = 5
CALLS = 20
"""Calls of the UNet that are timed together."""
BATCHES = (8, 16, 32, 64)
MATRIX = 8192


def measure_gpu_speed(image: Path) -> dict:
    """All rows for ``image``, as plain values. Raises UserError ``no_device`` without a CUDA GPU."""
    if not torch.cuda.is_available():
        raise UserError(ErrorCode.NO_DEVICE, "The full-size model is measured on a CUDA GPU, and there is none.")
    device = torch.device("cuda")
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        starter = _measure_jobs(image, Path(folder))  # first: it also tells what a fresh process costs
    ceiling = _matrix_ceiling(device)
    model = full_size_model(device)
    unet = [_measure_unet(model, batch) for batch in BATCHES]
    tflop_per_image = unet[0]["tflop"] / unet[0]["batch"]
    return {
        "run": run_info(Options(), load_image(image).shape[0]),
        "starter": starter,
        "ceiling_tflops": ceiling,
        "unet": unet,
        "views": _measure_views(model, image, ceiling, tflop_per_image),
    }


def gpu_speed_text(measured: dict) -> str:
    """The figures as Markdown tables."""
    hardware = measured["run"]["hardware"]
    head = f"{hardware['gpu']}, PyTorch {hardware['torch']}, commit {measured['run']['commit']}"
    unet = [["UNet call, batch", "plain, ms", "replayed, ms", "share of the ceiling"]] + [
        [
            str(row["batch"]),
            f"{row['plain_ms']:.1f}",
            f"{row['replayed_ms']:.1f}",
            f"{row['tflop'] / row['replayed_ms'] * 1e3 / measured['ceiling_tflops']:.2f}",
        ]
        for row in measured["unet"]
    ]
    views = [["40 views", "first, s", "then, s", "TFLOP", "share of the ceiling", "peak, GiB"]] + [
        [row["name"], f"{row['first']:.2f}", f"{row['median']:.2f}", f"{row['tflop']:.0f}", f"{row['share']:.2f}",
         f"{row['peak_gib']:.2f}"]
        for row in measured["views"]
    ]  # fmt: skip
    jobs = [["picture to mesh, starter weights", *measured["starter"]["first"]]] + [
        [name, *(f"{seconds:.2f}" for seconds in measured["starter"][key].values())]
        for name, key in (("first of the process, s", "first"), ("then, s", "median"))
    ]
    ceiling = f"Matrix product in 16 bits: {measured['ceiling_tflops']:.0f} TFLOP/s."
    return "\n\n".join([head, ceiling, table(unet), table(views), table(jobs)])


def _measure_jobs(image: Path, folder: Path) -> dict:
    """Seconds of every stage of whole jobs with the starter weights, files written."""
    pipeline, runs = Pipeline(), []
    for number in range(1 + REPEATS):
        begin = time.perf_counter()
        report = pipeline.generate(image, folder / str(number), Options(), ignore_progress)["report"]
        runs.append(report["seconds"] | {"total": time.perf_counter() - begin})
    later = runs[1:]
    return {"first": runs[0], "median": {name: median(run[name] for run in later) for name in runs[0]}}


@torch.inference_mode()
def _matrix_ceiling(device: torch.device) -> float:
    """TFLOP/s of a large matrix product in 16 bits."""
    matrix = torch.randn(MATRIX, MATRIX, device=device, dtype=torch.float16)
    _, seconds = _timed(lambda: [matrix @ matrix for _ in range(CALLS)])
    return 2 * MATRIX**3 * CALLS / seconds / 1e12


@torch.inference_mode()
def _measure_unet(model: Zero123, batch: int) -> dict:
    noisy, tokens = torch.randn(batch, 4, 32, 32, device=model.device), torch.randn(batch, 1, 768, device=model.device)
    call = partial(model.denoise, noisy, torch.tensor(500), noisy, tokens)
    row: dict[str, float] = {"batch": batch}
    for name, model.uses_cuda_graphs in (("plain_ms", False), ("replayed_ms", True)):
        _, seconds = _timed(lambda: [call() for _ in range(CALLS)])
        row[name] = seconds / CALLS * 1e3
    model.uses_cuda_graphs = False
    row["tflop"] = count_tflop(call)[1]
    model.uses_cuda_graphs = True
    return row


def _measure_views(model: Zero123, image: Path, ceiling: float, tflop_per_image: float) -> list[dict]:
    """The reference's plan in plain diffusers, then ours: the standard preset, and the reference mode.

    Only the UNet's operations count, 99 % of all. With guidance it sees twice as many images as there are views.
    """
    cutout = cut_out(load_image(image))
    white = torch.ones(1, 3, model.image_size, model.image_size, device=model.device)
    plain = partial(sample_reference_plan, model, white)
    plans: list[tuple[str, Callable[[], object], int]] = [
        ("reference plan, plain diffusers", plain, 2 * REFERENCE_BATCH * sum(REFERENCE_PLAN))
    ]
    for name, options, first_stage, second_stage in (
        ("quality standard", Options(quality="standard", elevation=20.0), 25, 17),
        ("reference mode, with its elevation search", Options(reference_mode=True), 76, 49),
    ):
        config = resolve_options(options, "cuda")
        estimate = partial(ElevationEstimation(), config)
        plan = partial(IndependentViewModel(model).sample_views, cutout, [], estimate, config)
        plans.append((name, plan, 2 * (8 * first_stage + 32 * second_stage)))
    rows = []
    for name, plan, images in plans:
        torch.cuda.reset_peak_memory_stats()
        first, seconds = _timed(plan)
        tflop = images * tflop_per_image
        rows.append(
            {
                "name": name,
                "first": first,
                "median": seconds,
                "tflop": tflop,
                "share": tflop / seconds / ceiling,
                "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
            }
        )
        print(f"{name}: {seconds:.2f} s", file=sys.stderr, flush=True)
    return rows


def _timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first run, and the median of those after it."""
    seconds = []
    for _ in range(1 + REPEATS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        run()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return seconds[0], median(seconds[1:])

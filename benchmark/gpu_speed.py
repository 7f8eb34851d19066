"""Speed on a GPU, in one process: the full-size view model beside the reference's plan, and a picture to a mesh.

Every figure is the median of ``REPEATS`` runs after one that is not counted, unless it says first.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from backend.compilation import GUIDED_BATCHES
from backend.config import resolve_options
from backend.elevation_estimation.estimator import ElevationEstimation
from backend.errors import ErrorCode, UserError
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.preprocessing.foreground import cut_out
from backend.progress import ignore_progress
from backend.views.independent import IndependentViewModel
from backend.views.zero123.compiled_unet import compile_unet
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
    info = run_info(Options(), load_image(image).shape[0])
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        starter = _measure_jobs(image, Path(folder))  # first: it also tells what a fresh process costs
        ceiling = _matrix_ceiling(device)
        model = full_size_model(device)
        os.environ["IMAGE_TO_MESH_HOME"] = folder  # nothing is compiled there yet
        unet = [_measure_unet(model, batch) for batch in BATCHES]
        tflop_per_image = unet[0]["tflop"] / unet[0]["batch"]
        white = torch.ones(1, 3, model.image_size, model.image_size, device=device)
        reference = Plan(
            "reference plan, plain diffusers",
            partial(sample_reference_plan, model, white),
            2 * REFERENCE_BATCH * sum(REFERENCE_PLAN),
        )
        ours = _our_plans(model, image)
        measure = partial(_measure_plan, ceiling=ceiling, tflop_per_image=tflop_per_image)
        views = [measure(plan) for plan in (reference, *ours)]
        for row in unet:
            if row["batch"] in GUIDED_BATCHES:
                row |= _measure_compiled(model, row["batch"])
        model.free_cached_memory()
        views += [measure(plan) | {"name": f"{plan.name}, compiled"} for plan in ours]
    return {"run": info, "starter": starter, "ceiling_tflops": ceiling, "unet": unet, "views": views}


def gpu_speed_text(measured: dict) -> str:
    """The figures as Markdown tables."""
    hardware = measured["run"]["hardware"]
    head = f"{hardware['gpu']}, PyTorch {hardware['torch']}, commit {measured['run']['commit']}"
    unet = [["UNet call, batch", "plain, ms", "replayed, ms", "compiled, ms", "compiling, s", "share of the ceiling"]]
    for row in measured["unet"]:
        best = row.get("compiled_ms", row["replayed_ms"])
        unet.append(
            [
                str(row["batch"]),
                *(f"{row[key]:.1f}" if key in row else "-" for key in ("plain_ms", "replayed_ms", "compiled_ms")),
                f"{row['compile_s']:.0f}" if "compile_s" in row else "-",
                f"{row['tflop'] / best * 1e3 / measured['ceiling_tflops']:.2f}",
            ]
        )
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
    call = _unet_call(model, batch)
    row: dict[str, float] = {"batch": batch}
    for name, model.uses_cuda_graphs in (("plain_ms", False), ("replayed_ms", True)):
        _, seconds = _timed(lambda: [call() for _ in range(CALLS)])
        row[name] = seconds / CALLS * 1e3
    model.uses_cuda_graphs = False
    row["tflop"] = count_tflop(call)[1]
    model.uses_cuda_graphs = True
    return row


def _measure_compiled(model: Zero123, batch: int) -> dict:
    begin = time.perf_counter()
    compile_unet(model.unet, model.unet_inputs(batch))
    row = {"compile_s": time.perf_counter() - begin}
    model.free_cached_memory()  # the graph too, which holds what was not compiled
    call = _unet_call(model, batch)
    with torch.inference_mode():
        begin = time.perf_counter()
        call()
        row["load_s"] = time.perf_counter() - begin
        _, seconds = _timed(lambda: [call() for _ in range(CALLS)])
    return row | {"compiled_ms": seconds / CALLS * 1e3}


def _unet_call(model: Zero123, batch: int) -> Callable[[], torch.Tensor]:
    noisy, tokens = torch.randn(batch, 4, 32, 32, device=model.device), torch.randn(batch, 1, 768, device=model.device)
    return partial(model.denoise, noisy, torch.tensor(500), noisy, tokens)


@dataclass(frozen=True)
class Plan:
    """A way to sample 40 views."""

    name: str
    run: Callable[[], object]
    images: int
    """That the UNet sees in all; with guidance twice as many as there are views."""


def _our_plans(model: Zero123, image: Path) -> list[Plan]:
    """The standard preset, and the reference mode; without its search for the elevation, which random views mislead."""
    cutout = cut_out(load_image(image))
    plans = []
    for name, options, first_stage, second_stage in (
        ("quality standard", Options(quality="standard", elevation=20.0), 25, 17),
        ("reference mode, elevation given", Options(reference_mode=True, elevation=20.0), 76, 49),
    ):
        config = resolve_options(options, "cuda")
        estimate = partial(ElevationEstimation(), config)
        run = partial(IndependentViewModel(model).sample_views, cutout, [], estimate, config)
        plans.append(Plan(name, run, 2 * (8 * first_stage + 32 * second_stage)))
    return plans


def _measure_plan(plan: Plan, ceiling: float, tflop_per_image: float) -> dict:
    """Only the UNet's operations count, 99 % of all."""
    torch.cuda.reset_peak_memory_stats()
    first, seconds = _timed(plan.run)
    tflop = plan.images * tflop_per_image
    print(f"{plan.name}: {first:.2f} s, then {seconds:.2f} s", file=sys.stderr, flush=True)
    return {
        "name": plan.name,
        "first": first,
        "median": seconds,
        "tflop": tflop,
        "share": tflop / seconds / ceiling,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


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

"""Speed and memory on a GPU, in one process: the full-size view model beside the reference's plan, a picture to a mesh,
and Shap-E.

Every figure is the median of ``REPEATS`` runs after one that is not counted, unless it says first. Each of
``MEASUREMENTS`` can be called alone; ``gpu_speed_text`` prints what is there.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

from backend.compilation import GUIDED_BATCHES
from backend.errors import ErrorCode, UserError
from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ignore_progress
from backend.views.zero123.compiled_unet import compile_unet
from backend.views.zero123.model import Zero123

from .example_images import FOLDER
from .full_size import full_size_model
from .gpu_timing import REPEATS, timed
from .jobs import count_tflop
from .run_info import run_info
from .shap_e import measure_shap_e
from .tables import table
from .view_plans import measure_memory, measure_plan, our_plans, reference_plan

EXAMPLE_IMAGE = FOLDER / "mug.png"
CALLS = 20
"""Calls of the UNet that are timed together."""
BATCHES = (8, 16, 32, 64)
MATRIX = 8192


def measure_gpu_speed(image: Path, parts: Sequence[str]) -> dict:
    """The rows of these parts of ``MEASUREMENTS`` for ``image``, as plain values; none: of all, in their order.

    Raises UserError ``no_device`` without a CUDA GPU.
    """
    if not torch.cuda.is_available():
        raise UserError(ErrorCode.NO_DEVICE, "The full-size model is measured on a CUDA GPU, and there is none.")
    info = run_info(Options(), load_image(image).shape[0])
    return {"run": info, **{name: MEASUREMENTS[name](image) for name in parts or MEASUREMENTS}}


def measure_jobs(image: Path) -> dict:
    """Seconds of every stage of whole jobs with the starter weights, files written."""
    pipeline, runs = Pipeline(), []
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        for number in range(1 + REPEATS):
            begin = time.perf_counter()
            job = pipeline.generate(image, Path(folder) / str(number), Options(), ignore_progress)
            runs.append(job["report"]["seconds"] | {"total": time.perf_counter() - begin})
    later = runs[1:]
    return {"first": runs[0], "median": {name: median(run[name] for run in later) for name in runs[0]}}


def measure_views(image: Path) -> dict:
    """Forty views by the full-size view model: its UNet's calls, whole plans, and both once they are compiled, which
    takes five minutes."""
    device = torch.device("cuda")
    ceiling = _matrix_ceiling(device)
    model = full_size_model(device)
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
        os.environ["IMAGE_TO_MESH_HOME"] = folder  # nothing is compiled there yet
        unet = [_measure_unet(model, batch) for batch in BATCHES]
        tflop_per_image = unet[0]["tflop"] / unet[0]["batch"]
        ours = our_plans(model, image)
        measure = partial(measure_plan, ceiling=ceiling, tflop_per_image=tflop_per_image)
        views = [measure(plan) for plan in (reference_plan(model), *ours)]
        for row in unet:
            if row["batch"] in GUIDED_BATCHES:
                row |= _measure_compiled(model, row["batch"])
        views += [measure(plan) | {"name": f"{plan.name}, compiled"} for plan in ours]
    return {"ceiling_tflops": ceiling, "unet": unet, "plans": views}


MEASUREMENTS: dict[str, Callable[[Path], dict | list]] = {
    "starter": measure_jobs,  # first: it also tells what a fresh process costs
    "memory": measure_memory,
    "shap_e": measure_shap_e,
    "views": measure_views,
}
"""The parts by name, each from an image file to plain values; they need a CUDA GPU."""


def gpu_speed_text(measured: dict) -> str:
    """The figures as Markdown tables."""
    hardware = measured["run"]["hardware"]
    parts = [f"{hardware['gpu']}, PyTorch {hardware['torch']}, commit {measured['run']['commit']}"]
    if "views" in measured:
        parts += _views_text(measured["views"])
    if "memory" in measured:
        parts.append(_timing_table("40 views, and the surface", measured["memory"]))
    if "starter" in measured:
        rows = [["picture to mesh, starter weights", *measured["starter"]["first"]]] + [
            [name, *(f"{seconds:.2f}" for seconds in measured["starter"][key].values())]
            for name, key in (("first of the process, s", "first"), ("then, s", "median"))
        ]
        parts.append(table(rows))
    if "shap_e" in measured:
        parts.append(_timing_table("picture to mesh by others, no texture, no files", measured["shap_e"]))
    return "\n\n".join(parts)


def _views_text(measured: dict) -> list[str]:
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
        for row in measured["plans"]
    ]  # fmt: skip
    ceiling = f"Matrix product in 16 bits: {measured['ceiling_tflops']:.0f} TFLOP/s."
    return [ceiling, table(unet), table(views)]


def _timing_table(title: str, rows: list[dict]) -> str:
    """A row for each of ``gpu_timing.measured``."""
    head = [title, "first, s", "then, s", "peak, GiB", "reserved, GiB"]
    columns = ("first", "median", "peak_gib", "reserved_gib")
    return table([head, *([row["name"], *(f"{row[column]:.2f}" for column in columns)] for row in rows)])


@torch.inference_mode()
def _matrix_ceiling(device: torch.device) -> float:
    """TFLOP/s of a large matrix product in 16 bits."""
    matrix = torch.randn(MATRIX, MATRIX, device=device, dtype=torch.float16)
    _, seconds = timed(lambda: [matrix @ matrix for _ in range(CALLS)])
    return 2 * MATRIX**3 * CALLS / seconds / 1e12


@torch.inference_mode()
def _measure_unet(model: Zero123, batch: int) -> dict:
    call = _unet_call(model, batch)
    row: dict[str, float] = {"batch": batch}
    for name, model.uses_cuda_graphs in (("plain_ms", False), ("replayed_ms", True)):
        _, seconds = timed(lambda: [call() for _ in range(CALLS)])
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
        _, seconds = timed(lambda: [call() for _ in range(CALLS)])
    return row | {"compiled_ms": seconds / CALLS * 1e3}


def _unet_call(model: Zero123, batch: int) -> Callable[[], torch.Tensor]:
    noisy, tokens = torch.randn(batch, 4, 32, 32, device=model.device), torch.randn(batch, 1, 768, device=model.device)
    return partial(model.denoise, noisy, torch.tensor(500), noisy, tokens)

"""Forty views on a GPU, by our plans and by the reference's, and the surface after them: seconds and memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from backend.config import resolve_options
from backend.data_types import SampledViews, Views
from backend.elevation_estimation.estimator import ElevationEstimation
from backend.io.image import load_image
from backend.options import Options
from backend.preprocessing.foreground import cut_out
from backend.surface.one2345.model import One2345Model
from backend.surface.one2345.network import One2345
from backend.views.independent import IndependentViewModel
from backend.views.zero123.model import Zero123

from .full_size import REFERENCE_BATCH, REFERENCE_PLAN, full_size_model, sample_reference_plan
from .gpu_timing import measured

POINTS = 1 << 17
"""Points at which the field is asked: more than go through its networks at once, so that the memory is a job's."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Plan(Generic[Result]):
    """A way to sample 40 views."""

    name: str
    model: Zero123
    run: Callable[[], Result]
    images: int
    """That the UNet sees in all; with guidance twice as many as there are views."""


def reference_plan(model: Zero123) -> Plan[torch.Tensor]:
    """The reference's, without any of our changes."""
    white = torch.ones(1, 3, model.image_size, model.image_size, device=model.device)
    run = partial(sample_reference_plan, model, white)
    return Plan("reference plan, plain diffusers", model, run, 2 * REFERENCE_BATCH * sum(REFERENCE_PLAN))


def our_plans(model: Zero123, image: Path) -> list[Plan[SampledViews]]:
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
        plans.append(Plan(name, model, run, 2 * (8 * first_stage + 32 * second_stage)))
    return plans


def measure_plan(plan: Plan, ceiling: float, tflop_per_image: float) -> dict:
    """A row; ``ceiling`` in TFLOP/s. Only the UNet's operations count, 99 % of all."""
    plan.model.free_cached_memory()
    row = measured(plan.run)
    tflop = plan.images * tflop_per_image
    print(f"{plan.name}: {row['first']:.2f} s, then {row['median']:.2f} s", file=sys.stderr, flush=True)
    return {"name": plan.name, **row, "tflop": tflop, "share": tflop / row["median"] / ceiling}


def measure_memory(image: Path) -> list[dict]:
    """Rows of the views, and of One-2-3-45's surface network after them, while the view model is loaded; without and
    with ``low_memory``, in two minutes."""
    device = torch.device("cuda")
    surface = One2345Model(One2345().requires_grad_(False).to(device))
    rows = []
    for low_memory, suffix in ((False, ""), (True, ", low memory")):
        measured_both = _measure_both(our_plans(full_size_model(device, low_memory), image)[0], surface)
        rows += [row | {"name": f"{row['name']}{suffix}"} for row in measured_both]
    return rows


def _measure_both(plan: Plan[SampledViews], surface: One2345Model) -> list[dict]:
    rows = [{"name": plan.name, **measured(plan.run)}]
    rows.append({"name": "surface of One-2-3-45", **measured(partial(_ask_field, surface, plan.run().views))})
    for row in rows:
        print(f"{row['name']}: {row['median']:.2f} s, {row['peak_gib']:.2f} GiB", file=sys.stderr, flush=True)
    return rows


def _ask_field(surface: One2345Model, views: Views) -> None:
    field = surface.reconstruct(views)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (POINTS, 3)).astype(np.float32)
    field.distance(points)
    field.color(points)

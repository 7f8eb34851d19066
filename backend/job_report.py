"""What a job's report says of its input, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from . import camera
from .data_types import Cutout, GivenView, SampledViews, Views
from .elevation_estimation.estimator import matcher_name
from .rendering.silhouette import missing_warning

CERTAIN = 0.5
"""Confidence of the elevation below which a user has to be told."""


def describe_input(cutout: Cutout, given: Sequence[GivenView], sampled: SampledViews, height: int, width: int) -> dict:
    """The input image of ``height`` x ``width`` pixels: how it was cut out, its camera, and its views."""
    elevation, views = sampled.elevation, sampled.views
    return {
        "foreground": cutout.method,
        "cutout": _cutout_quality(cutout, given),
        "elevation": asdict(elevation),
        "matcher": matcher_name() if elevation.source == "matched" else None,
        "camera": _input_camera(views, cutout, height, width),
        "views": len(views.names),
        "ran_out_of_memory": sampled.ran_out_of_memory,
    }


def collect_warnings(report: dict) -> list[str]:
    """Everything in a job's report that a user should know before using the mesh: one sentence each."""
    elevation = report["elevation"]
    warnings = [*report.get("cutout", {}).get("warnings", ())]  # reports of earlier versions have no such entry
    if elevation["confidence"] < CERTAIN:
        warnings.append(
            f"How high the camera was is uncertain; {elevation['degrees']:.0f} degrees were assumed: set the elevation "
            "if the object leans or is too flat."
        )
    if report.get("ran_out_of_memory"):
        warnings.append(
            "The GPU's memory ran out, so fewer views were generated at once, which takes longer: close other programs "
            "that use the GPU, or choose Low Memory."
        )
    if missing := missing_warning(report["mesh"]["silhouette_recall"]):
        warnings.append(missing)
    return warnings


def _cutout_quality(cutout: Cutout, given: Sequence[GivenView]) -> dict:
    """The quality of the input image's cutout; warnings about further images are added to its own."""
    quality = asdict(cutout.quality) if cutout.quality else {}
    others = [
        f"{view.name}: {warning}" for view in given if view.cutout.quality for warning in view.cutout.quality.warnings
    ]
    return quality | {"warnings": [*quality.get("warnings", ()), *others]}


def _input_camera(views: Views, cutout: Cutout, height: int, width: int) -> dict:
    """The input image's own camera, for a matching one in a scene."""
    return {
        "camera_to_world": views.camera_to_world[0].tolist(),
        "focal": camera.FOCAL,
        "canvas": list(cutout.canvas),
        "width": width,
        "height": height,
    }

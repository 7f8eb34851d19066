"""Quality: the pipeline's meshes, the baselines and the oracle against the ground truth of shapes never trained on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from backend.data_types import Cutout, TexturedMesh
from backend.device import choose_device
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline, Reconstruction

from .alignment import prediction_to_world, transformed
from .baselines import make_baselines
from .ground_truth import INPUT_SIZE, GroundTruth
from .jobs import reconstruct
from .oracle import reconstruct_from_true_views
from .run_info import run_info
from .shapes import Shape
from .summary import BACK_GIVEN, TRUE_ELEVATION, summarize, summarize_seconds

WHOLE_IMAGE = (0.0, 0.0, float(INPUT_SIZE))


def measure_quality(options: Options, shapes: Sequence[Shape], variants: Sequence[str] = (), workers: int = 1) -> dict:
    """Evaluate shapes, with a line on stderr for each.

    ``variants``: what else the pipeline is measured with, of ``summary.VARIANTS``. ``workers``: processes that share
    the shapes and the processor's cores; 1 stays in this process. Raises UserError where the weights cannot be loaded.
    """
    info = run_info(options, INPUT_SIZE)  # now, because the code may change during the run
    if workers == 1:
        results = _evaluate_all(options, shapes, variants)
    else:
        info["hardware"]["threads"] = threads = max(1, (os.cpu_count() or 1) // workers)
        results: list[dict] = [{}] * len(shapes)
        # Not forked: a child of a process with PyTorch's threads may hang.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            parts = [slice(first, None, workers) for first in range(workers)]
            jobs = [pool.submit(_evaluate_all, options, shapes[part], variants, threads) for part in parts]
            for part, job in zip(parts, jobs, strict=True):
                results[part] = job.result()
    return {
        "run": info | {"workers": workers},
        "groups": summarize(results),
        "seconds": summarize_seconds([result["seconds"] for result in results if "seconds" in result]),
        "shapes": results,
    }


def _evaluate_all(
    options: Options, shapes: Sequence[Shape], variants: Sequence[str], threads: int | None = None
) -> list[dict]:
    if threads is not None:
        torch.set_num_threads(threads)
    pipeline = Pipeline()
    pipeline.load(options.weights, choose_device(options.device))
    results = []
    for number, shape in enumerate(shapes, 1):
        result = evaluate_shape(GroundTruth(shape), pipeline, options, variants)
        results.append(result)
        outcome = result.get("failed") or f"F@.05 {result['methods']['image_to_mesh']['f05']:.3f}"
        print(f"{number}/{len(shapes)} {shape.name}: {outcome}", file=sys.stderr, flush=True)
    return results


def evaluate_shape(truth: GroundTruth, pipeline: Pipeline, options: Options, variants: Sequence[str] = ()) -> dict:
    """One shape through the pipeline.

    Returns the shape's names, elevations and genus, seconds of each stage, and in ``methods`` the metrics of
    ``image_to_mesh``, of the ``variants``, of the baselines and of the ``oracle``. Where the pipeline fails, ``failed``
    says why and the method is missing.
    """
    shape, image = truth.shape, truth.picture()
    result = {key: getattr(shape, key) for key in ("name", "family", "group", "elevation", "genus")}
    jobs: dict[str, tuple[Options, dict[str, np.ndarray]]] = {"image_to_mesh": (options, {})}
    if TRUE_ELEVATION in variants:
        jobs[TRUE_ELEVATION] = replace(options, elevation=shape.elevation), {}
    if BACK_GIVEN in variants:
        jobs[BACK_GIVEN] = options, {"back": truth.picture(180.0)}
    meshes, assumed_pose = {}, truth.pose
    for name, (changed, given) in jobs.items():
        try:
            job = reconstruct(pipeline, image, changed, given)
        except UserError as error:
            if name == "image_to_mesh":
                result["failed"] = str(error)
            continue
        meshes[name] = _in_world(job, truth)
        if name == "image_to_mesh":
            assumed_pose = np.array(job.report["camera"]["camera_to_world"])
            result |= {"estimated_elevation": job.report["elevation"], "seconds": job.report["seconds"]}
            result["watertight"] = job.report["mesh"]["watertight"]
    to_world = prediction_to_world(assumed_pose, truth.pose, WHOLE_IMAGE, INPUT_SIZE)
    for name, baseline in make_baselines(image, assumed_pose).items():
        meshes[name] = transformed(baseline, to_world)
    networks = pipeline.load(options.weights, choose_device(options.device))
    with contextlib.suppress(UserError):  # no surface at all counts as no mesh
        cutout = Cutout(image, "alpha", WHOLE_IMAGE)
        meshes["oracle"] = reconstruct_from_true_views(truth, cutout, networks, options)
    return result | {"methods": truth.evaluate_all(meshes)}


def _in_world(job: Reconstruction, truth: GroundTruth) -> TexturedMesh:
    """A job's mesh in the ground truth's world frame."""
    seen = job.report["camera"]
    pose = np.array(seen["camera_to_world"])
    return transformed(job.textured, prediction_to_world(pose, truth.pose, seen["canvas"], INPUT_SIZE))

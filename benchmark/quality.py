"""Quality: the pipeline's meshes, the baselines and the oracle against the ground truth of the held-out scenes."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend import surface
from backend.data_types import Cutout, SurfaceModel
from backend.device import choose_device
from backend.errors import UserError
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ignore_progress
from backend.weights.resolve import locate_weights
from procedural.scene import load_held_out

from . import report
from .alignment import prediction_to_world, transformed
from .baselines import make_baselines
from .ground_truth import INPUT_SIZE, GroundTruth, select_scenes
from .job_results import load_textured_mesh
from .oracle import reconstruct_from_true_views
from .run_info import run_info
from .summary import summarize, summarize_seconds


def measure_quality(options: Options, scenes_per_group: int | None = None, true_elevation: bool = False) -> dict:
    """Evaluate the held-out scenes (``scenes_per_group`` of each group, or all), with a line on stderr for each.

    ``true_elevation`` gives the pipeline each camera's elevation. Raises UserError where the weights cannot be loaded.
    """
    scenes = load_held_out()
    if scenes_per_group:
        scenes = select_scenes(scenes, dict.fromkeys(report.GROUP_TITLES, scenes_per_group))
    info = run_info(options, INPUT_SIZE, true_elevation)  # now, because the code may change during the run
    network = surface.load(locate_weights(options.weights) / "surface", choose_device(options.device))
    pipeline = Pipeline()
    results = []
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        for number, scene in enumerate(scenes, 1):
            scene_options = replace(options, elevation=scene.elevation) if true_elevation else options
            folder = Path(temporary) / str(number)
            result = evaluate_scene(GroundTruth(scene), pipeline, network, scene_options, folder)
            results.append(result)
            outcome = result.get("failed") or f"F@.05 {result['methods']['image_to_mesh']['f05']:.3f}"
            print(f"{number}/{len(scenes)} {scene.name}: {outcome}", file=sys.stderr, flush=True)
    return {
        "run": info,
        "groups": summarize(results),
        "seconds": summarize_seconds([result["seconds"] for result in results if "seconds" in result]),
        "scenes": results,
    }


def evaluate_scene(
    truth: GroundTruth, pipeline: Pipeline, network: SurfaceModel, options: Options, folder: Path
) -> dict:
    """One scene through the pipeline, from file to file; ``folder`` receives the job.

    Returns the scene's names and elevations, seconds of each stage, and in ``methods`` the metrics of
    ``image_to_mesh``, of the baselines and of the ``oracle``, which uses ``network``. Where the pipeline fails,
    ``failed`` says why and ``image_to_mesh`` is missing.
    """
    scene = truth.scene
    result = {"name": scene.name, "family": scene.family, "group": scene.group, "elevation": scene.elevation}
    folder.mkdir(parents=True)
    image = truth.write_input_image(folder / "input.png")
    methods = {}
    try:
        job = pipeline.generate(folder / "input.png", folder, options, ignore_progress)["report"]
    except UserError as error:
        assumed_pose = truth.pose
        result["failed"] = str(error)
    else:
        assumed_pose = np.array(job["camera"]["camera_to_world"])
        to_world = prediction_to_world(assumed_pose, truth.pose, job["camera"]["canvas"], INPUT_SIZE)
        methods["image_to_mesh"] = truth.evaluate(transformed(load_textured_mesh(folder), to_world))
        result |= {"estimated_elevation": job["elevation"], "seconds": job["seconds"]}
    whole_image = (0.0, 0.0, float(INPUT_SIZE))
    to_world = prediction_to_world(assumed_pose, truth.pose, whole_image, INPUT_SIZE)
    for name, baseline in make_baselines(image, assumed_pose).items():
        methods[name] = truth.evaluate(transformed(baseline, to_world))
    cutout = Cutout(image, "alpha", whole_image)
    with contextlib.suppress(UserError):  # no surface at all counts as no mesh
        methods["oracle"] = truth.evaluate(reconstruct_from_true_views(truth, cutout, network, options))
    return result | {"methods": methods}

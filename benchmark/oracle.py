"""The oracle: the weights' surface network and our texture from true views, an upper bound for every view model.

Its input are the true views of the weights' own plan, at the true elevation: those of ``camera.joint_plan``, or the
8 + 32 of One-2-3-45 (arXiv 2306.16928, section 3.2) for weights that sample views independently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend import camera, texturing
from backend.config import resolve_options
from backend.data_types import Cutout, TexturedMesh, Views
from backend.device import choose_device
from backend.options import Options
from backend.pipeline import Networks, extract_mesh
from backend.preprocessing import canvas
from backend.views.joint import JointViewModel

from .ground_truth import GroundTruth, composite_on_white

DEFAULT_IMAGE_SIZE = 256
"""Pixels along a side of the true views for a network that prefers no size."""
PlannedView = tuple[str, float, float]
"""A view's name, elevation and azimuth in degrees."""


def independent_plan(elevation: float) -> list[PlannedView]:
    """Both rings of four views and the four neighbors of each, for an input camera at ``elevation`` degrees."""
    plan = []
    for name, polar, azimuth in (*camera.FIRST_RING, *camera.second_ring(90.0 - elevation)):
        plan.append((name, elevation - polar, azimuth))
        for index, change in enumerate(camera.NEIGHBORS):
            plan.append((f"{name}_{index}", elevation - polar - change[0], azimuth + change[1]))
    return plan


def true_views(truth: GroundTruth, cutout: Cutout, size: int, plan: Sequence[PlannedView]) -> Views:
    """The input image and the planned views as a perfect view model would generate them, ``size`` pixels a side."""
    names, elevations, azimuths = zip(("input", truth.shape.elevation, 0.0), *plan, strict=True)
    poses = camera.camera_to_world(90.0 - np.array(elevations), np.array(azimuths))
    rendered = truth.render(poses[1:], size)
    inputs = canvas.resize_on_white(cutout, size)
    images = np.stack([inputs[0], *map(composite_on_white, rendered)]).astype(np.float32)
    return Views(images, np.stack([inputs[1], *rendered[..., 3]]), poses, names)


def reconstruct_from_true_views(
    truth: GroundTruth, cutout: Cutout, networks: Networks, options: Options
) -> TexturedMesh:
    """The textured mesh that the pipeline would make of true views. Raises UserError where there is no surface."""
    planner = networks.views.plan if isinstance(networks.views, JointViewModel) else independent_plan
    size = getattr(networks.surface, "image_size", DEFAULT_IMAGE_SIZE)
    views = true_views(truth, cutout, size, planner(truth.shape.elevation))
    config = resolve_options(options, choose_device(options.device).type)
    field = networks.surface.reconstruct(views)
    mesh = extract_mesh(field, views, config)
    return texturing.bake(mesh, field, views, cutout, config.texture_size)

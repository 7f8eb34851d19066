"""The oracle: our surface network and texture from true views, an upper bound for every view model.

Its input is the full plan of 8 + 32 views of One-2-3-45 (arXiv 2306.16928, section 3.2) at the true elevation.
"""

from __future__ import annotations

import numpy as np

from backend import camera, meshing, texturing
from backend.config import resolve_options
from backend.data_types import Cutout, SurfaceModel, TexturedMesh, Views
from backend.device import choose_device
from backend.options import Options
from backend.preprocessing import canvas

from .ground_truth import GroundTruth, composite_on_white

DEFAULT_IMAGE_SIZE = 256
"""Pixels along a side of the true views for a network that prefers no size."""


def true_views(truth: GroundTruth, cutout: Cutout, size: int) -> Views:
    """The input image and the 40 views that a perfect view model would generate, ``size`` pixels a side."""
    polar = 90.0 - truth.scene.elevation
    offsets: dict[str, tuple[float, ...]] = {"input": (0.0, 0.0)}
    for name, *offset in (*camera.FIRST_RING, *camera.second_ring(polar)):
        offsets[name] = tuple(offset)
        for index, change in enumerate(camera.NEIGHBORS):
            offsets[f"{name}_{index}"] = tuple(np.add(offset, change))
    angles = np.array(list(offsets.values()))
    poses = camera.camera_to_world(polar + angles[:, 0], angles[:, 1])
    rendered = truth.render(poses, size)
    inputs = canvas.composite_on_white(cutout, size), canvas.resize_alpha(cutout, size)
    images = np.stack([inputs[0], *map(composite_on_white, rendered[1:])]).astype(np.float32)
    masks = np.stack([inputs[1], *rendered[1:, ..., 3]])
    return Views(images, masks, poses, tuple(offsets))


def reconstruct_from_true_views(
    truth: GroundTruth, cutout: Cutout, network: SurfaceModel, options: Options
) -> TexturedMesh:
    """The textured mesh that the pipeline would make of true views. Raises UserError where there is no surface."""
    views = true_views(truth, cutout, getattr(network, "image_size", DEFAULT_IMAGE_SIZE))
    config = resolve_options(options, choose_device(options.device).type)
    field = network.reconstruct(views)
    mesh = meshing.extract(field, config.resolution, config.faces)
    return texturing.bake(mesh, field, views, cutout, config.texture_size)

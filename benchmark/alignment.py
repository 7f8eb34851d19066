"""A predicted mesh in the ground truth's world frame, without aligning or scaling it to the true shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backend import camera
from backend.data_types import Mesh, TexturedMesh


def prediction_to_world(
    assumed_pose: np.ndarray, true_pose: np.ndarray, canvas: Sequence[float], size: int
) -> np.ndarray:
    """The similarity (4, 4) from the world that the pipeline assumed to the true one, as far as the input image ties
    them together.

    Both poses (4, 4) are of the input camera, whose elevation the pipeline may have estimated wrongly. ``canvas`` is
    the square (left, top, side in pixels of an image of ``size`` pixels) that the pipeline cut out: in the image, the
    object may be smaller and off-center. The shape of the prediction plays no role.
    """
    left, top, side = canvas
    scale = side / size
    shift_x, shift_y = (left + side / 2) / size - 0.5, (top + side / 2) / size - 0.5
    cutout_to_image = np.diag([scale, scale, scale, 1.0])
    cutout_to_image[:3, 3] = camera.RADIUS * np.array([shift_x / camera.FOCAL, -shift_y / camera.FOCAL, scale - 1])
    return true_pose.astype(np.float64) @ cutout_to_image @ np.linalg.inv(assumed_pose.astype(np.float64))


def transformed(textured: TexturedMesh, transform: np.ndarray) -> TexturedMesh:
    """The same mesh under a similarity (4, 4)."""
    vertices = textured.mesh.vertices @ transform[:3, :3].T + transform[:3, 3]
    return replace(textured, mesh=Mesh(vertices.astype(np.float32), textured.mesh.faces))

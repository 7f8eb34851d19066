"""Where the views of a training scene are taken from."""

from __future__ import annotations

import numpy as np

from backend.camera import FIRST_RING, LOWER_RING, LOWER_RING_UP_TO, UPPER_RING, camera_to_world

VIEWS = 9
"""The input and eight more."""
ABOVE_ELEVATION = 80.0
"""Elevation of the plan's view from above, at the input's azimuth."""
ABOVE_SPREAD = 6.0
"""In training its elevation is up to this many degrees off."""
RANDOM_ELEVATIONS = -30.0, 85.0


def plan_cameras(elevations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plan of views for joint generation: input elevations (B,) -> elevations and azimuths (B, VIEWS) in degrees.

    Both rings of the independent plan, but a view from above replaces the one that repeats the input. Order:
    input, above, the rest of the first ring, the second ring.
    """
    first, lower, upper = (np.array([offset for _, *offset in ring]) for ring in (FIRST_RING, LOWER_RING, UPPER_RING))
    second = np.where((90 - elevations[:, None, None]) <= LOWER_RING_UP_TO, lower, upper)
    offsets = np.concatenate([np.broadcast_to(first, (len(elevations), 4, 2)), second], 1)
    polar, azimuth = np.concatenate([np.zeros_like(offsets[:, :1]), offsets], 1).transpose(2, 0, 1)
    angles = elevations[:, None] - polar
    angles[:, 1] = ABOVE_ELEVATION
    return angles, azimuth


def random_cameras(elevations: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The input and views spread evenly over a zone of the sphere: (B, VIEWS) each, in degrees."""
    low, high = np.sin(np.radians(RANDOM_ELEVATIONS))
    angles = np.degrees(np.arcsin(rng.uniform(low, high, (len(elevations), VIEWS))))
    azimuths = rng.uniform(0, 360, (len(elevations), VIEWS))
    angles[:, 0], azimuths[:, 0] = elevations, 0
    return angles, azimuths


def sample_cameras(
    elevations: np.ndarray, plan_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cameras of training scenes with input elevations (B,): the plan for ``plan_share`` of them, else random ones.

    Returns elevations and azimuths (B, VIEWS) in degrees.
    """
    planned, scattered = plan_cameras(elevations), random_cameras(elevations, rng)
    planned[0][:, 1] += rng.uniform(-ABOVE_SPREAD, ABOVE_SPREAD, len(elevations))
    use_plan = rng.random((len(elevations), 1)) < plan_share
    return np.where(use_plan, planned[0], scattered[0]), np.where(use_plan, planned[1], scattered[1])


def camera_matrices(elevations: np.ndarray, azimuths: np.ndarray) -> np.ndarray:
    """Angles (...) in degrees -> cameras (..., 4, 4) float32, camera to world."""
    return camera_to_world(90 - elevations, azimuths)

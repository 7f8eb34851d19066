"""Where the views of a training scene are taken from."""

from __future__ import annotations

import numpy as np

from backend.camera import JOINT_PLANS, camera_to_world, joint_plan

SPREAD = 6.0
"""In training the elevations of views beside the rings are up to this many degrees off."""
RANDOM_ELEVATIONS = -36.0, 85.0


def view_count(plan: str) -> int:
    """V: the input and the views of ``plan``, one of ``backend.camera.JOINT_PLANS``."""
    return 1 + len(joint_plan(0.0, plan))


def plan_cameras(elevations: np.ndarray, plan: str) -> tuple[np.ndarray, np.ndarray]:
    """The views of ``plan`` for joint generation: input elevations (B,) -> elevations and azimuths (B, V) in degrees,
    the input first, then those of ``joint_plan``."""
    angles = [
        [(elevation, 0.0), *(angles for _, *angles in joint_plan(elevation, plan))] for elevation in elevations.tolist()
    ]
    degrees, azimuths = np.moveaxis(np.array(angles), -1, 0)
    return degrees, azimuths


def random_cameras(elevations: np.ndarray, views: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The input and others spread evenly over a zone of the sphere, ``views`` in all: (B, views) each, in degrees."""
    low, high = np.sin(np.radians(RANDOM_ELEVATIONS))
    angles = np.degrees(np.arcsin(rng.uniform(low, high, (len(elevations), views))))
    azimuths = rng.uniform(0, 360, (len(elevations), views))
    angles[:, 0], azimuths[:, 0] = elevations, 0
    return angles, azimuths


def sample_cameras(
    elevations: np.ndarray, plan: str, plan_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cameras of training scenes with input elevations (B,): ``plan`` for ``plan_share`` of them, else random ones.

    Returns elevations and azimuths (B, V) in degrees.
    """
    planned, scattered = plan_cameras(elevations, plan), random_cameras(elevations, view_count(plan), rng)
    beside_rings = len(JOINT_PLANS[plan])
    planned[0][:, 1 : 1 + beside_rings] += rng.uniform(-SPREAD, SPREAD, (len(elevations), beside_rings))
    use_plan = rng.random((len(elevations), 1)) < plan_share
    return np.where(use_plan, planned[0], scattered[0]), np.where(use_plan, planned[1], scattered[1])


def camera_matrices(elevations: np.ndarray, azimuths: np.ndarray) -> np.ndarray:
    """Angles (...) in degrees -> cameras (..., 4, 4) float32, camera to world."""
    return camera_to_world(90 - elevations, azimuths)

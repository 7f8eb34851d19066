"""A scene of the benchmark that the tiny weights know: one ball."""

from __future__ import annotations

import numpy as np

from procedural.families.materials import patterned
from procedural.families.primitives import ellipsoid, to_rows
from procedural.scene import Scene
from procedural.schema import Pattern
from tests.helpers.tiny import RADIUS


def ball_scene(
    name="ball", group="in_distribution", elevation=20.0, radius=RADIUS, translation=(0.0, 0.0, 0.0)
) -> Scene:
    """A ball with stripes of two colors."""
    material = patterned((0.9, 0.2, 0.1), (0.9, 0.9, 0.3), Pattern.STRIPES, 3.0, 0)
    object_to_world = np.array([1, *translation, 1, 0], np.float32)
    light = np.array([0, -0.6, 0.8, 0.6], np.float32)
    rows = to_rows([ellipsoid((0, 0, 0), radius, material)])
    return Scene(name, "ball", group, elevation, rows, object_to_world, light)

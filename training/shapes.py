"""The procedural shapes behind the starter weights: families of scenes for training, three more held out.

A scene is (P, 32) float32, P <= 20 primitives in object space (z up, front to -Y, free units); ``backend.evaluate.scene``
evaluates it. The builders are in ``training.families.parts``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from training.families import furniture, people, vessels

Family = Callable[[np.random.Generator], np.ndarray]

FAMILIES: dict[str, Family] = {
    "mug": vessels.mug,
    "bottle": vessels.bottle,
    "vase": vessels.vase,
    "chair": furniture.chair,
    "table": furniture.table,
    "sofa": furniture.sofa,
    "lamp": furniture.lamp,
    "snowman": people.snowman,
}
"""Families the weights are trained on."""

HELD_OUT: dict[str, Family] = {}
"""Families no training run ever sees."""


def sample(family: str, seed: int) -> np.ndarray:
    """One shape of a family: (P, 32) float32, the same for the same name and seed on every machine."""
    build = FAMILIES.get(family) or HELD_OUT[family]
    return build(np.random.default_rng((zlib.crc32(family.encode()), seed)))

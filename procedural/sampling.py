"""The procedural scenes behind the starter weights: families for training, and three more that are held out.

``procedural.schema`` describes their rows; the families are built in ``procedural.families``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from procedural.families import (
    aircraft,
    animals,
    birds_and_fish,
    boats,
    buildings,
    composite,
    food,
    furniture,
    held_out,
    household,
    people,
    plants,
    sweets,
    tools,
    vehicles,
    vessels,
    wear,
)

Family = Callable[[np.random.Generator], np.ndarray]

FAMILIES: dict[str, Family] = {
    "mug": vessels.mug,
    "bottle": vessels.bottle,
    "vase": vessels.vase,
    "chair": furniture.chair,
    "table": furniture.table,
    "sofa": furniture.sofa,
    "lamp": household.lamp,
    "hat": wear.hat,
    "camera": household.camera,
    "radio": household.radio,
    "umbrella": wear.umbrella,
    "quadruped": animals.quadruped,
    "bird": birds_and_fish.bird,
    "fish": birds_and_fish.fish,
    "car": vehicles.car,
    "truck": vehicles.truck,
    "locomotive": vehicles.locomotive,
    "boat": boats.boat,
    "airplane": aircraft.airplane,
    "helicopter": aircraft.helicopter,
    "rocket": aircraft.rocket,
    "snowman": people.snowman,
    "robot": people.robot,
    "person": people.person,
    "teddy": people.teddy,
    "house": buildings.house,
    "tower": buildings.tower,
    "block": buildings.block,
    "tree": plants.tree,
    "mushroom": plants.mushroom,
    "potted_plant": plants.potted_plant,
    "tool": tools.tool,
    "sweet": sweets.sweet,
    "meal": food.meal,
    "composite": composite.composite,
}
"""Families that the starter weights are trained on."""
COMPOSITE_PROBABILITY = 0.25

HELD_OUT_FAMILIES: dict[str, Family] = {
    "teapot": held_out.teapot,
    "guitar": held_out.guitar,
    "windmill": held_out.windmill,
}
"""Families that no training run uses."""


def sample(family: str, seed: int) -> np.ndarray:
    """The rows (P, 32) float32 of one scene of a family: the same for the same name and seed on every machine."""
    build = FAMILIES.get(family) or HELD_OUT_FAMILIES[family]
    return build(np.random.default_rng((zlib.crc32(family.encode()), seed)))


def sample_family(rng: np.random.Generator) -> str:
    """The name of a training family: ``composite``, which is no kind of object, more often than the others."""
    names = [name for name in FAMILIES if name != "composite"]
    return "composite" if rng.random() < COMPOSITE_PROBABILITY else str(rng.choice(names))


def sample_pose_and_light(rng: np.random.Generator) -> tuple[float, float, np.ndarray]:
    """How a scene is photographed: yaw in radians (most images show the front), elevation in degrees, light (4,)."""
    yaw = rng.uniform(-np.pi, np.pi) if rng.random() < 0.4 else rng.normal(0, 0.6)
    elevation = -8 + 53 * rng.beta(1.6, 2.0)
    light_azimuth, light_elevation = rng.uniform(-2.2, 2.2), np.radians(rng.uniform(15, 80))
    direction = [
        np.sin(light_azimuth) * np.cos(light_elevation),
        -np.cos(light_azimuth) * np.cos(light_elevation),
        np.sin(light_elevation),
    ]
    return yaw, elevation, np.array([*direction, rng.uniform(0.55, 0.9)], np.float32)

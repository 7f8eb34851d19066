"""The procedural shapes behind the starter weights: families of scenes for training, three more held out.

A scene is (P, 32) float32, P <= 20 primitives in object space (z up, front to -Y, free units).
``procedural.scene`` evaluates it; the builders are in ``procedural.families.primitives``.
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
"""Families the weights are trained on."""
COMPOSITE_SHARE = 0.12

HELD_OUT: dict[str, Family] = {
    "teapot": held_out.teapot,
    "guitar": held_out.guitar,
    "windmill": held_out.windmill,
}
"""Families no training run ever sees."""


def sample(family: str, seed: int) -> np.ndarray:
    """One shape of a family: (P, 32) float32, the same for the same name and seed on every machine."""
    build = FAMILIES.get(family) or HELD_OUT[family]
    return build(np.random.default_rng((zlib.crc32(family.encode()), seed)))


def draw_family(rng: np.random.Generator) -> str:
    """The name of a training family, ``composite`` (which has no shape of its own) more often than the others."""
    names = [name for name in FAMILIES if name != "composite"]
    return "composite" if rng.random() < COMPOSITE_SHARE else str(rng.choice(names))

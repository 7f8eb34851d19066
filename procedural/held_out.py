"""Write the benchmark's fixed list of held-out scenes: ``python -m procedural.held_out``.

No training run uses these seeds (``training/README.md`` lists the runs), and three families are never trained on.
"""

from __future__ import annotations

import numpy as np

from procedural import sampling
from procedural.normalization import normalize_rows
from procedural.scene import HELD_OUT_PATH, Scene
from procedural.schema import pad_rows

FIRST_SEED = 1_000_000_000
TRAINING_FAMILIES = 24
"""Training families of which one held-out seed is in the list."""
SEEDS_PER_HELD_OUT_FAMILY = 3


def held_out_scenes() -> list[Scene]:
    """The scenes of the list, made anew."""
    rng = np.random.default_rng(FIRST_SEED)
    families = rng.permutation(sorted(set(sampling.FAMILIES) - {"composite"}))[:TRAINING_FAMILIES]
    plan = [(str(family), "in_distribution", 0) for family in sorted(families)]
    for family in sorted(sampling.HELD_OUT_FAMILIES):
        plan += [(family, "held_out_families", number) for number in range(SEEDS_PER_HELD_OUT_FAMILY)]
    scenes = []
    for family, group, number in plan:
        rows = sampling.sample(family, FIRST_SEED + number)
        yaw, elevation, light = sampling.sample_pose_and_light(rng)
        object_to_world = normalize_rows(rows, yaw, elevation)
        scenes.append(Scene(f"{family}-{number}", family, group, elevation, rows, object_to_world, light))
    return scenes


def save_scenes(path, scenes: list[Scene]) -> None:
    """Write scenes as ``procedural.scene.load_held_out`` reads them."""
    fields = ("name", "family", "group", "elevation", "object_to_world", "light")
    arrays = {field: np.array([getattr(scene, field) for scene in scenes]) for field in fields}
    counts = np.array([len(scene.rows) for scene in scenes])
    arrays |= {"count": counts, "rows": pad_rows([scene.rows for scene in scenes])}
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType] - none is called allow_pickle


def main() -> None:
    scenes = held_out_scenes()
    save_scenes(HELD_OUT_PATH, scenes)
    print(f"{len(scenes)} scenes in {HELD_OUT_PATH}")


if __name__ == "__main__":
    main()

"""Write the benchmark's fixed list of held-out scenes: ``python -m training.held_out``.

No run of training draws these seeds (``training/README.md`` lists the runs), and three families are never trained on.
"""

from __future__ import annotations

import numpy as np

from procedural import sampling
from procedural.normalization import place_one
from procedural.scene import HELD_OUT
from training.pool import MOST_ROWS, draw_stand

FIRST_SEED = 1_000_000_000
SEEDS, FAMILY_SEEDS = 24, 3
"""Held-out seeds, one of each of this many training families, and seeds of each held-out family."""


def main() -> None:
    rng = np.random.default_rng(FIRST_SEED)
    names = [str(name) for name in rng.permutation(sorted(set(sampling.FAMILIES) - {"composite"}))[:SEEDS]]
    plan = [(name, "seed", 0) for name in sorted(names)]
    plan += [(name, "family", number) for name in sorted(sampling.HELD_OUT) for number in range(FAMILY_SEEDS)]
    stored: dict[str, list] = {
        key: [] for key in ("name", "family", "group", "elevation", "count", "rows", "placement", "light")
    }
    for family, group, number in plan:
        rows = sampling.sample(family, FIRST_SEED + number)
        yaw, elevation, light = draw_stand(rng)
        placement = place_one(rows, yaw, elevation)
        padded = np.zeros((MOST_ROWS, 32), np.float32)
        padded[: len(rows)] = rows
        values = (f"{family}-{number}", family, group, elevation, len(rows), padded, placement, light)
        for key, value in zip(stored, values, strict=True):
            stored[key].append(value)
    np.savez_compressed(HELD_OUT, **{key: np.array(value) for key, value in stored.items()})
    print(f"{len(plan)} scenes in {HELD_OUT}")


if __name__ == "__main__":
    main()

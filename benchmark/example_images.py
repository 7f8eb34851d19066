"""Write the example images in ``examples/``: scenes of training families with seeds that no training run uses.

``python -m benchmark.example_images``
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.ground_truth import GroundTruth
from benchmark.shapes import ProceduralShape
from procedural import sampling
from procedural.normalization import normalize_rows
from procedural.scene import Scene

FOLDER = Path(__file__).resolve().parents[1] / "examples"
IMAGES = {"mug": (2, 0.5, 20), "teddy": (3, 0.3, 20), "car": (4, 0.6, 20), "chair": (0, 0.5, 20)}
"""Family -> seed above ``FIRST_SEED``, yaw in radians, elevation in degrees."""
FIRST_SEED = 2_000_000_000
LIGHT = np.array([-0.36, -0.62, 0.70, 0.7], np.float32)


def scene(family: str, seed: int, yaw: float, elevation: float) -> Scene:
    """One scene, normalized for its input camera."""
    rows = sampling.sample(family, seed)
    return Scene(f"{family}-{seed}", family, "example", elevation, rows, normalize_rows(rows, yaw, elevation), LIGHT)


def main() -> None:
    for family, (number, yaw, elevation) in IMAGES.items():
        shape = ProceduralShape(scene(family, FIRST_SEED + number, yaw, elevation))
        GroundTruth(shape).write_input_image(FOLDER / f"{family}.png")


if __name__ == "__main__":
    main()

"""Speed: seconds of every stage, peak memory and operations, for images one after the other, networks loaded once."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from backend.io.image import load_image
from backend.options import Options
from backend.pipeline import Pipeline
from backend.progress import ignore_progress
from procedural.scene import load_held_out

from .ground_truth import INPUT_SIZE, GroundTruth
from .jobs import count_tflop, reconstruct
from .run_info import peak_memory, run_info
from .shapes import ProceduralShape
from .summary import summarize_seconds

DEFAULT_IMAGES = 5
"""Held-out scenes whose input images are used where no images are given."""


def measure_speed(options: Options, images: Sequence[Path] = ()) -> dict:
    """Run the pipeline on ``images``, or on the first held-out scenes, with a line on stderr for each.

    Raises UserError.
    """
    info = run_info(options, INPUT_SIZE)
    pipeline = Pipeline()
    runs = []
    with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as temporary:
        folder = Path(temporary)
        images = images or _write_held_out_images(folder)
        for number, image in enumerate(images):
            started = time.perf_counter()
            job = pipeline.generate(image, folder / str(number), options, ignore_progress)
            total = time.perf_counter() - started
            runs.append(job["report"]["seconds"] | {"total": round(total, 3)})
            print(f"{image.name}: {total:.1f} s", file=sys.stderr, flush=True)
        memory = peak_memory()
        # Last and once more, because counting takes time and memory.
        _, tflop = count_tflop(lambda: reconstruct(pipeline, load_image(images[0]), options))
    return {
        "run": info,
        "seconds": summarize_seconds(runs),
        "peak_memory_mib": memory,
        "tflop": tflop,
        "runs": runs,
    }


def _write_held_out_images(folder: Path) -> list[Path]:
    images = []
    for scene in load_held_out()[:DEFAULT_IMAGES]:
        images.append(folder / f"{scene.name}.png")
        GroundTruth(ProceduralShape(scene, 96)).write_input_image(images[-1])
    return images

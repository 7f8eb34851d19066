"""How many pictures a batch turns into meshes in an hour, on one GPU and on several."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backend.batch.manifest import MANIFEST
from backend.batch.run import run
from backend.errors import ErrorCode, UserError
from backend.options import Options

from .example_images import FOLDER
from .run_info import run_info
from .tables import table


def measure_throughput(options: Options, pictures: int, gpus: Sequence[int], workers: int, engine: str) -> dict:
    """A batch of ``pictures`` different images for each GPU, on the first N GPUs for each N of ``gpus``, with
    ``workers`` processes a GPU; as plain values. 0 stands for the processor alone, with ``workers`` processes in all.

    Raises UserError (``no_device``) where there are fewer GPUs.
    """
    if max(gpus) > torch.cuda.device_count():
        raise UserError(ErrorCode.NO_DEVICE, f"{max(gpus)} GPUs are to be measured, but there are fewer.")
    runs = []
    for count in gpus:
        with tempfile.TemporaryDirectory(prefix="image-to-mesh-") as folder:
            row = _measure(options, Path(folder), pictures * max(1, count), count, workers * max(1, count), engine)
        print(f"{count} GPUs: {row['pictures']} pictures in {row['seconds']:.0f} s", file=sys.stderr, flush=True)
        runs.append(row)
    return {"run": run_info(options, _base_images()[0].width), "engine": engine, "runs": runs}


def throughput_text(measured: dict) -> str:
    """The figures as a Markdown table."""
    hardware = measured["run"]["hardware"]
    head = (
        f"{hardware['gpu'] or hardware['processor']}, engine {measured['engine']}, commit {measured['run']['commit']}"
    )
    rows = [["GPUs", "workers", "pictures", "failed", "listed twice", "s", "pictures an hour", "each, s"]] + [
        [*(str(row[key]) for key in ("gpus", "workers", "pictures", "failed", "twice")), f"{row['seconds']:.0f}",
         f"{3600 * row['pictures'] / row['seconds']:.0f}", f"{row['each']:.1f}"]
        for row in measured["runs"]
    ]  # fmt: skip
    return f"{head}\n\n{table(rows)}"


def _measure(options: Options, folder: Path, pictures: int, gpus: int, workers: int, engine: str) -> dict:
    source, place = folder / "pictures", folder / "meshes"
    write_pictures(source, pictures)
    # A process of its own: this one's CUDA may have started, and then sees all GPUs.
    process = multiprocessing.get_context("spawn").Process(
        target=_run_batch, args=(str(source), str(place), options, engine, gpus, workers)
    )
    started = time.perf_counter()
    process.start()
    process.join()
    seconds = time.perf_counter() - started
    if process.exitcode:
        raise RuntimeError("The batch ended with an error, which is above.")
    entries = [json.loads(line) for line in (place / MANIFEST).read_text(encoding="utf-8").splitlines()]
    return {
        "gpus": gpus,
        "workers": workers,
        "pictures": pictures,
        "failed": sum(entry["error"] is not None for entry in entries) + pictures - len(entries),
        "twice": len(entries) - len({entry["sha256"] for entry in entries}),
        "seconds": seconds,
        "each": sum(entry["seconds"] for entry in entries) / len(entries),
    }


def _run_batch(source: str, place: str, options: Options, engine: str, gpus: int, workers: int) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(gpus)))  # CUDA starts when it is first used
    run(source, place, options, engine=engine, workers=workers, resume=False, force=False)


def write_pictures(folder: Path, count: int) -> None:
    """``count`` different PNG files: the example images, turned in hue."""
    folder.mkdir(parents=True)
    bases = _base_images()
    for number in range(count):
        base = bases[number % len(bases)]
        hue, *rest = base.convert("RGB").convert("HSV").split()
        turn = 256 * number // count
        hue = hue.point([(value + turn) % 256 for value in range(256)])
        image = Image.merge("HSV", (hue, *rest)).convert("RGB")
        image.putalpha(base.getchannel("A"))
        title = PngInfo()
        title.add_text("Title", f"Picture {number}")  # there are only 256 hues, but no two files are alike
        image.save(folder / f"{number:06}.png", pnginfo=title, compress_level=1)


def _base_images() -> list[Image.Image]:
    return [Image.open(path).convert("RGBA") for path in sorted(FOLDER.glob("*.png"))]

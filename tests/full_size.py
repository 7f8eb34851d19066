"""Full-size random weights in every official layout, through ``weights add`` and the whole pipeline; not in the suite.

    python tests/full_size.py --device cuda FOLDER

Run it with a Python that has what the backend and the tests need. FOLDER takes up to 40 GB and is emptied layout by
layout. Of each layout: seconds to add it, then ``benchmark speed`` on three images, the first of which also loads
everything: seconds of every stage and peak memory. Random weights draw noise, so the mesh looks like nothing, and has
far more triangles to simplify and unwrap than an object's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from torch import nn

ROOT = Path(__file__).resolve().parents[1]
IMAGES = [ROOT / "examples" / name for name in ("mug.png", "car.png", "teddy.png")]
sys.path.insert(0, str(ROOT))

from benchmark.full_size import full_size_modules  # noqa: E402
from tests.helpers.checkpoints import (  # noqa: E402
    original_state,
    write_diffusers,
    write_lightning,
    write_surface_checkpoint,
)


def lightning(modules: dict[str, nn.Module], target: Path) -> Path:
    """As published: float32, raw and averaged."""
    return write_lightning(target / "zero123-xl.ckpt", original_state(modules, shift=1e-4))


def folder_of_safetensors(modules: dict[str, nn.Module], target: Path) -> Path:
    return write_diffusers(target / "zero123-diffusers", {name: module.half() for name, module in modules.items()})


def folder_of_pickles(modules: dict[str, nn.Module], target: Path) -> Path:
    return write_diffusers(target / "zero123-pickles", modules, "cc_projection")


LAYOUTS = {write.__name__: write for write in (lightning, folder_of_pickles, folder_of_safetensors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--device", default="cuda", choices=("cuda", "mps", "cpu"))
    parser.add_argument("--quality", default="auto")
    parser.add_argument("--layout", choices=tuple(LAYOUTS), action="append", help="this one (default: all)")
    args = parser.parse_args()
    os.environ["IMAGE_TO_MESH_HOME"] = str(args.folder / "home")
    args.folder.mkdir(parents=True, exist_ok=True)
    run("backend", ["weights", "add", write_surface_checkpoint(args.folder / "ckpt_215000.pth")])
    modules = {name: module.cpu() for name, module in full_size_modules(args.device).items()}
    count = sum(each.numel() for module in modules.values() for each in module.parameters())
    print(f"{count / 1e9:.2f} billion numbers", flush=True)
    options = ["--device", args.device, "--quality", args.quality]
    for layout in args.layout or LAYOUTS:
        target = args.folder / layout
        target.mkdir()
        run("backend", ["weights", "add", LAYOUTS[layout](modules, target), "--name", layout])
        shutil.rmtree(target)
        speed = ["speed", *IMAGES, "--weights", layout, *options]
        run("benchmark", speed)
        if layout == "lightning":
            run("benchmark", [*speed, "--reference-mode"])
        if layout == "folder_of_safetensors":
            run("benchmark", [*speed, "--low-memory"])
        run("backend", ["weights", "remove", layout])


def run(package: str, arguments: list) -> None:
    """Run a command of ``python -m PACKAGE`` and print its output and seconds. Raises CalledProcessError."""
    begin = time.perf_counter()
    print("$", package, *arguments, flush=True)
    subprocess.run([sys.executable, "-m", package, *map(str, arguments)], cwd=ROOT, check=True)
    print(f"{time.perf_counter() - begin:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()

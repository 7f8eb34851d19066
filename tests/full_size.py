"""Full-size random weights in every official layout, through ``weights add`` and the whole pipeline; not in the suite.

    python tests/full_size.py --device cuda FOLDER

Run it with a Python that has what the backend and the tests need. FOLDER takes up to 40 GB and is emptied layout by
layout. Of each layout: seconds to add it, then ``benchmark speed``: seconds of every stage and peak memory. Random
weights draw noise, so the mesh looks like nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.helpers.checkpoints import (  # noqa: E402
    full_size_view_parts,
    original_state,
    write_diffusers,
    write_lightning,
    write_surface_checkpoint,
)


def lightning(parts: dict[str, nn.Module], place: Path) -> Path:
    """As published: float32, raw and averaged."""
    return write_lightning(place / "zero123-xl.ckpt", original_state(parts, shift=1e-4))


def folder_of_safetensors(parts: dict[str, nn.Module], place: Path) -> Path:
    return write_diffusers(place / "zero123-diffusers", {name: part.half() for name, part in parts.items()})


def folder_of_pickles(parts: dict[str, nn.Module], place: Path) -> Path:
    return write_diffusers(place / "zero123-pickles", parts, "cc_projection")


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
    with torch.device(args.device):  # a GPU draws random numbers faster
        parts = {name: part.cpu() for name, part in full_size_view_parts().items()}
    count = sum(each.numel() for part in parts.values() for each in part.parameters())
    print(f"{count / 1e9:.2f} billion numbers", flush=True)
    options = ["--device", args.device, "--quality", args.quality]
    for layout in args.layout or LAYOUTS:
        place = args.folder / layout
        place.mkdir()
        run("backend", ["weights", "add", LAYOUTS[layout](parts, place), "--name", layout])
        shutil.rmtree(place)
        speed = ["speed", ROOT / "examples" / "mug.png", "--weights", layout, *options]
        run("benchmark", speed)
        if layout == "lightning":
            run("benchmark", [*speed, "--reference-mode"])
        run("backend", ["weights", "remove", layout])


def run(package: str, arguments: list) -> None:
    """Run a command of ``python -m PACKAGE`` and print its output and seconds. Raises CalledProcessError."""
    begin = time.perf_counter()
    print("$", package, *arguments, flush=True)
    subprocess.run([sys.executable, "-m", package, *map(str, arguments)], cwd=ROOT, check=True)
    print(f"{time.perf_counter() - begin:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()

"""Errors of predicted elevations on inputs that no training used.

    python -m training.evaluate_elevation NETWORK --objects PACK ...

``NETWORK`` is a checkpoint of ``training.elevation``, or "starter": the shipped view model's own prediction. Prints a
JSON object for each group: median and mean error in degrees, and the share that is right within five. Predictions are
means of those for the input and for its mirror image, as in a job. Besides the groups of ``evaluation_groups`` there
are the packs' test objects from all around, lit, cut out and seen through lenses as ``config/elevation.toml`` has it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from backend.paths import STARTER_WEIGHTS
from backend.surface.network import load
from backend.views.zero123.conditioning import ELEVATION_UNIT
from backend.views.zero123.model import Zero123
from training.checkpoint import load_checkpoint
from training.config import ElevationConfig, load_config
from training.elevation_network import SHAPE, ElevationNetwork
from training.elevation_scenes import ElevationScenes
from training.evaluation_groups import object_group, procedural_groups
from training.images import as_input
from training.object_library import ObjectLibrary

CONFIG = Path(__file__).with_name("config") / "elevation.toml"
Predict = Callable[[torch.Tensor], torch.Tensor]
"""Inputs (B, 3, S, S) in -1..1 -> elevations (B,) in degrees."""


def load_predictor(source: str, device: torch.device) -> Predict:
    """What ``source`` names, see above. Raises FileNotFoundError where there is no checkpoint."""
    if source == "starter":
        model = Zero123.load(STARTER_WEIGHTS / "view", device)
        return lambda images: model.elevation(model.encode_condition(images)[1])[0]
    network = ElevationNetwork(**SHAPE)
    network.load_state_dict(load_checkpoint(Path(source)).averaged)
    network.eval().to(device)
    return lambda images: network(images)[:, 0] * ELEVATION_UNIT


@torch.inference_mode()
def scores(predict: Predict, pictures: torch.Tensor, elevations: torch.Tensor) -> dict[str, float]:
    """Of inputs (B, S, S, 3) uint8 whose cameras' elevations (B,) are in degrees."""
    predicted = []
    for images in as_input(pictures).split(64):
        predicted.append((predict(images) + predict(images.flip(-1))) / 2)
    error = (torch.cat(predicted) - elevations).abs()
    within = (error < 5).float().mean()
    return {"median": error.median().item(), "mean": error.mean().item(), "within_5": within.item()}


def inputs(size: int, packs: list[Path], device: torch.device) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Names, pictures (B, S, S, 3) uint8 and elevations (B,) in degrees of all groups."""
    config = load_config(ElevationConfig, CONFIG, ["object_share=1.0", "scenes_per_chunk=60"])
    with multiprocessing.get_context("fork").Pool() as workers:  # before this process touches the GPU
        groups = procedural_groups(size, load(STARTER_WEIGHTS / "surface").half_side, workers, device)
    if packs:
        library = ObjectLibrary.from_packs(packs, device, test=True)
        groups.append(object_group(library, size))
    for group in groups:
        yield group.name, group.images[:, 0, ..., :3], group.angles[:, 0, 0]
    if packs:
        chunk = ElevationScenes(config, library, size, 0, 0, 1, device).next_chunk()
        yield "real objects, photographed", chunk["picture"].flatten(0, 1), chunk["elevation"].flatten()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help='checkpoint of training.elevation, or "starter"')
    parser.add_argument("--objects", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    predict = None
    for name, pictures, elevations in inputs(SHAPE["image_size"], args.objects, device):
        predict = predict or load_predictor(args.network, device)
        row = {key: round(value, 3) for key, value in scores(predict, pictures, elevations).items()}
        print(json.dumps({"network": args.network, "group": name, "inputs": len(pictures), **row}), flush=True)


if __name__ == "__main__":
    main()

"""Scores of a surface network on scenes that no training used, from true views and from generated ones.

    python -m training.evaluate_surface NETWORK --objects PACK ... --views VIEWS

``NETWORK`` is a checkpoint of ``training.surface``, a folder of weights, or "starter". As in use it sees the plan of
the view model ``VIEWS``; without one it sees that of its own checkpoint, else that of the shipped weights. All views
have their true elevations. Prints a JSON object for each group of scenes and kind of views: mean F-scores at .05 and
.02 (longest side 1), normal consistency, and the share of procedural scenes whose genus is right within 1, all of the
raw field. The benchmark's scores are the ones of record.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import torch

from backend.surface.network import SurfaceNetwork
from training.checkpoint import has_checkpoint
from training.evaluation_groups import Group, object_group, procedural_groups
from training.field_metrics import predict_fields, score_field
from training.generated_views import ViewGenerator, load_view_model, view_plan_of
from training.object_library import ObjectLibrary
from training.surface_model import load_network

STEPS, GUIDANCE = 4, 1.0
"""Of the joint view model."""


def evaluate(network: SurfaceNetwork, group: Group, images: torch.Tensor, workers: Pool) -> dict[str, float]:
    """Mean scores of the fields made of ``images`` (N, V, S, S, 4) uint8, in the order of ``plan_cameras``."""
    fields = predict_fields(network, images, group.angles)
    jobs = [
        workers.apply_async(score_field, (field, network.half_side, surface))
        for field, surface in zip(fields, group.surfaces, strict=True)
    ]
    scores = [job.get() for job in jobs]
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help='checkpoint, folder of weights, or "starter"')
    parser.add_argument("--objects", type=Path, nargs="*", default=[])
    parser.add_argument("--views", help='joint view model: checkpoint, folder or "starter"; none: only true views')
    parser.add_argument("--vae", type=Path, help="folder of training.vae whose VAE the view model gets")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    begin = time.monotonic()
    with multiprocessing.get_context("fork").Pool() as workers:  # before this process touches the GPU
        network = load_network(args.network, device)
        generator = None
        if args.views:
            generator = ViewGenerator(load_view_model(args.views, args.vae, device), STEPS, GUIDANCE)
        plan = view_plan_of(args.views or (args.network if has_checkpoint(Path(args.network)) else "starter"))
        groups = procedural_groups(plan, network.image_size, network.half_side, workers, device)
        if args.objects:
            library = ObjectLibrary.from_packs(args.objects, device, test=True)
            groups.append(object_group(library, plan, network.image_size))
        for group in groups:
            views = {"true": group.images}
            if generator:
                views["generated"] = generator(group.images, group.angles, seed=0)
            for name, images in views.items():
                row = {"network": args.network, "group": group.name, "plan": plan, "views": name}
                row |= {key: round(value, 4) for key, value in evaluate(network, group, images, workers).items()}
                print(json.dumps(row | {"seconds": round(time.monotonic() - begin, 1)}), flush=True)


if __name__ == "__main__":
    main()

"""Scores of the joint view model on scenes that no training used, beside the shipped independent model's.

    python -m training.evaluate_joint_views CHECKPOINT --objects PACK ... --out DIR

Three groups: 40 new seeds of the training families, 10 seeds of each held-out family, and the objects set aside in the
packs. Of each: PSNR and mask IoU of the seven ring views besides the input, and F-scores at .05 and .02 (longest side
1) of the shipped surface network's field; the elevations are the true ones. ``DIR`` receives ``scores.json`` and
``contact-sheet.png``. These numbers compare models with each other; the benchmark's are the ones of record.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backend.options import QUALITY_PRESETS
from backend.paths import STARTER_WEIGHTS
from backend.surface.network import SurfaceNetwork, load
from backend.views.zero123.model import Zero123
from training.evaluation_groups import Group, object_group, procedural_groups
from training.field_metrics import predict_fields, score_field
from training.joint_model import load_joint_model
from training.joint_sampling import generate_joint_views
from training.object_library import ObjectLibrary
from training.paint import paint
from training.pool import as_input

ABOVE, RING = 1, slice(2, 9)
"""Columns of ``plan_cameras``: the view from above, and the rings without the view that would repeat the input."""
SETTINGS = ((12, 2.0), (12, 1.3), (12, 1.0), (8, 1.3), (4, 2.0), (4, 1.3), (25, 1.3))
"""Steps and guidance of the joint model."""


@torch.inference_mode()
def evaluate(network: SurfaceNetwork, group: Group, views: torch.Tensor, use_above: bool, workers) -> dict[str, float]:
    """Scores of generated views (N, 9, S, S, 4) uint8 in the order of ``plan_cameras``.

    The surface network sees the input twice, as in the independent plan, whose first view repeats it; then the rings
    and, if ``use_above``, the view from above.
    """
    order = [0, 0, *range(9)[RING], *([ABOVE] if use_above else [])]
    fields = predict_fields(network, views[:, order], group.angles[:, order])
    jobs = [(field, network.half_side, surface) for field, surface in zip(fields, group.surfaces, strict=True)]
    scores = workers.starmap(score_field, jobs)
    made, true = views[:, RING].float() / 255, group.images[:, RING].float() / 255
    psnr = -10 * torch.log10((made - true)[..., :3].square().mean((1, 2, 3, 4)).clamp_min(1e-6))
    inside, truly = made[..., 3] > 0.5, true[..., 3] > 0.5
    overlap = (inside & truly).sum((1, 2, 3)) / (inside | truly).sum((1, 2, 3)).clamp_min(1)
    f_scores = {name: float(np.mean([score[name] for score in scores])) for name in ("f05", "f02")}
    return f_scores | {"psnr": psnr.mean().item(), "mask_iou": overlap.mean().item()}


@torch.inference_mode()
def elevation_error(model: Zero123, group: Group) -> float:
    """Median error of the elevation head in degrees."""
    embedding = model.encode_condition(as_input(group.images[:, 0, ..., :3]))[1]
    return (model.elevation(embedding)[0] - group.angles[:, 0, 0]).abs().median().item()


def independent_views(model: Zero123, group: Group) -> torch.Tensor:
    """The shipped model's views in the order of ``plan_cameras``, the input in the place of the view from above."""
    order = [0, 0, *range(9)[RING]]
    angles = group.angles[:, order]
    made = paint(model, group.images[:, 0], angles[..., 0], angles[..., 1], QUALITY_PRESETS["fast"])
    return torch.cat([group.images[:, :1], made], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--objects", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool() as workers:  # before this process touches the GPU
        network = load(STARTER_WEIGHTS / "surface", args.device)
        shipped = Zero123.load(STARTER_WEIGHTS / "view", args.device)
        joint = load_joint_model(args.checkpoint, args.device)
        groups = procedural_groups(shipped.image_size, network.half_side, workers, args.device)
        if args.objects:
            library = ObjectLibrary.from_packs(args.objects, args.device, test=True)
            groups.append(object_group(library, shipped.image_size))
        rows, sheet = [], []

        def record(model: str, group: Group, views: torch.Tensor, use_above: bool = False, **values) -> None:
            scores = evaluate(network, group, views, use_above, workers)
            rows.append({"model": model, "group": group.name, "above": use_above, **values, **scores})
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}), flush=True)

        for group in groups:
            record("true views", group, group.images)
            record("true views", group, group.images, use_above=True)
            independent = independent_views(shipped, group)
            record("shipped", group, independent, elevation_error=elevation_error(shipped, group))
            shown = None
            for steps, guidance in SETTINGS:
                views = generate_joint_views(joint, group.images[..., :3], group.angles, steps, guidance)
                error = elevation_error(joint, group)
                record("joint", group, views, steps=steps, guidance=guidance, elevation_error=error)
                shown = views if (steps, guidance) == (12, 1.3) else shown
            record("joint", group, shown, use_above=True, steps=12, guidance=1.3)
            two = generate_joint_views(
                joint, group.images[:, [0, 3, 1, 2, 4, 5, 6, 7, 8], :, :, :3],
                group.angles[:, [0, 3, 1, 2, 4, 5, 6, 7, 8]], 12, 1.3, clean=2,
            )  # fmt: skip
            record("joint, back given", group, two[:, [0, 2, 3, 1, 4, 5, 6, 7, 8]], steps=12, guidance=1.3)
            every = max(1, len(group.images) // 10)
            for number in range(0, len(group.images), every):
                sheet += [torch.cat(list(v[number, :, ..., :3]), 1) for v in (group.images, independent, shown)]
            (args.out / "scores.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    Image.fromarray(torch.cat(sheet).cpu().numpy()).save(args.out / "contact-sheet.png")


if __name__ == "__main__":
    main()

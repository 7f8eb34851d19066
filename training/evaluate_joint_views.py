"""Scores of the joint view model on scenes that no training used.

    python -m training.evaluate_joint_views VIEWS --objects PACK ... --out DIR

``VIEWS`` is a checkpoint of ``training.joint_views`` or a folder of weights; it generates the views of its own plan.

Three groups: 40 new seeds of the training families, 10 seeds of each held-out family, and the objects set aside in the
packs. Of each: PSNR and mask IoU of the seven ring views besides the input, and F-scores at .05 and .02 (longest side
1) of the shipped surface network's field; the elevations are the true ones. ``DIR`` receives ``scores.json`` and
``contact-sheet.png``. These numbers compare models with each other; the benchmark's are the ones of record.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from backend.camera import JOINT_PLANS
from backend.paths import STARTER_WEIGHTS
from backend.surface.network import SurfaceNetwork, load
from backend.views.zero123.model import Zero123
from training.evaluation_groups import Group, object_group, procedural_groups
from training.field_metrics import predict_fields, score_field
from training.generated_views import load_view_model, view_plan_of
from training.images import as_input
from training.input_augmentation import misplace
from training.joint_sampling import generate_joint_views
from training.object_library import ObjectLibrary

SETTINGS = ((4, 1.0), (4, 1.5), (8, 1.0), (12, 1.0))
"""Steps and guidance of the sampler; the first is the default preset."""


def back_column(plan: str) -> int:
    """Column of the view from behind in ``plan_cameras``."""
    return 2 + len(JOINT_PLANS[plan])


@torch.inference_mode()
def evaluate(network: SurfaceNetwork, group: Group, views: torch.Tensor, workers: Pool) -> dict[str, float]:
    """Scores of generated views (N, V, S, S, 4) uint8 in the order of ``plan_cameras``."""
    fields = predict_fields(network, views, group.angles)
    jobs = [(field, network.half_side, surface) for field, surface in zip(fields, group.surfaces, strict=True)]
    scores = workers.starmap(score_field, jobs)
    rings = 1 + len(JOINT_PLANS[group.plan])  # after the input and the views from above and below
    made, true = views[:, rings:].float() / 255, group.images[:, rings:].float() / 255
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


def with_back_given(model: Zero123, group: Group, backs: torch.Tensor, steps: int, guidance: float) -> torch.Tensor:
    """Views generated from the input and ``backs`` (N, S, S, 4), pictures of the back, in the order of
    ``plan_cameras``."""
    back = back_column(group.plan)
    order = [0, back, *(column for column in range(group.angles.shape[1]) if column not in (0, back))]
    pictures = group.images[:, order, ..., :3]
    pictures[:, 1] = backs[..., :3]
    views = generate_joint_views(model, pictures, group.angles[:, order], steps, guidance, 2)
    return views[:, np.argsort(order)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", type=Path)
    parser.add_argument("--vae", type=Path, help="folder of training.vae whose VAE the view model gets")
    parser.add_argument("--objects", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    args.out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("fork").Pool() as workers:  # before this process touches the GPU
        network = load(STARTER_WEIGHTS / "surface", device)
        model = load_view_model(args.views, args.vae, device)
        plan = view_plan_of(args.views)
        groups = procedural_groups(plan, model.image_size, network.half_side, workers, device)
        if args.objects:
            library = ObjectLibrary.from_packs(args.objects, device, test=True)
            groups.append(object_group(library, plan, model.image_size))
        rows, sheet = [], []

        def record(name: str, group: Group, views: torch.Tensor, **values) -> None:
            scores = evaluate(network, group, views, workers)
            rows.append({"views": name, "group": group.name, "plan": plan, **values, **scores})
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in rows[-1].items()}), flush=True)

        for group in groups:
            record("true", group, group.images, elevation_error=elevation_error(model, group))
            made = []
            for steps, guidance in SETTINGS:
                made.append(generate_joint_views(model, group.images[..., :3], group.angles, steps, guidance))
                record("generated", group, made[-1], steps=steps, guidance=guidance)
            steps, guidance = SETTINGS[0]
            backs = group.images[:, back_column(plan)]
            for name, pictures in (("", backs), (", misplaced", misplace(backs, np.random.default_rng(0)))):
                made.append(with_back_given(model, group, pictures, steps, guidance))
                record(f"generated, back given{name}", group, made[-1], steps=steps, guidance=guidance)
            for number in range(0, len(group.images), max(1, len(group.images) // 10)):
                shown = (group.images, made[0], made[-2])
                sheet += [torch.cat(list(views[number, :, ..., :3]), 1) for views in shown]
            (args.out / "scores.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    Image.fromarray(torch.cat(sheet).cpu().numpy()).save(args.out / "contact-sheet.png")


if __name__ == "__main__":
    main()

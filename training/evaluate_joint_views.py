"""Scores of the joint view model on scenes that no training used, beside the shipped independent model's.

    python -m training.evaluate_joint_views CHECKPOINT --objects PACK ... --out DIR

Three groups: 40 new seeds of the training families, 10 seeds of each held-out family, and the objects set aside in the
packs. Of each: PSNR and mask IoU of the seven ring views besides the input, and F-scores at .05 and .02 (longest side
1) of the shipped surface network's field; the elevations are the true ones. ``DIR`` receives ``scores.json`` and
``contact-sheet.png``. These numbers compare models with each other; the benchmark's are the ones of record.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial import cKDTree

from backend.camera import FOCAL, camera_to_world
from backend.options import QUALITY_PRESETS
from backend.paths import STARTER_WEIGHTS
from backend.surface.network import SurfaceNetwork, load
from backend.views.zero123.model import Zero123
from procedural.normalization import bounding_radius, normalize_scene
from procedural.sampling import FAMILIES, HELD_OUT_FAMILIES, sample, sample_pose_and_light
from procedural.schema import IDENTITY_TRANSFORM
from procedural.triton_renderer import from_numpy
from training.cameras import camera_matrices, plan_cameras
from training.evaluate_surface import GRID, SAMPLES, surface_points
from training.joint_model import load_joint_model
from training.joint_sampling import generate_joint_views
from training.mesh_rasterizer import MeshBatch, render_depths, render_meshes
from training.object_library import ObjectLibrary
from training.paint import paint
from training.pool import as_input

SEEDS, FAMILY_SEEDS, FIRST_SEED = 40, 10, 1_000_000_100
ABOVE, RING = 1, slice(2, 9)
"""Columns of ``plan_cameras``: the view from above, and the rings without the view that would repeat the input."""
SETTINGS = ((12, 2.0), (12, 1.3), (12, 1.0), (8, 1.3), (4, 2.0), (4, 1.3), (25, 1.3))
"""Steps and guidance of the joint model."""


@dataclass
class Group:
    """Scenes with true views."""

    name: str
    pictures: torch.Tensor
    """(N, 9, S, S, 4) uint8, in the order of ``plan_cameras``."""
    angles: torch.Tensor
    """(N, 9, 2) in degrees."""
    points: list[np.ndarray]
    """Points on each surface, (M, 3)."""


def procedural_groups(size: int, half_side: float, workers, device) -> list[Group]:
    """New seeds of the training families, and the held-out families."""
    rng = np.random.default_rng(77)
    families = [name for name in FAMILIES if name != "composite"]
    names = [families[number % len(families)] for number in range(SEEDS)]
    seeds = [FIRST_SEED + number for number in range(SEEDS)]
    for family in HELD_OUT_FAMILIES:
        names += [family] * FAMILY_SEEDS
        seeds += [FIRST_SEED + number for number in range(FAMILY_SEEDS)]
    rows = [sample(name, seed) for name, seed in zip(names, seeds, strict=True)]
    poses = [sample_pose_and_light(rng) for _ in names]
    yaw, elevation = (np.array([pose[k] for pose in poses], np.float32) for k in (0, 1))
    whole = np.array(IDENTITY_TRANSFORM, np.float32)
    scenes = from_numpy([(row, whole, pose[2]) for row, pose in zip(rows, poses, strict=True)], device)
    radius = np.array([bounding_radius(row) for row in rows], np.float32)
    object_to_world, valid = normalize_scene(
        scenes.distance, *(torch.from_numpy(v).to(device) for v in (radius, yaw, elevation))
    )
    assert valid.all(), "an evaluation scene is empty"
    scenes.object_to_world = object_to_world.contiguous()
    angles = plan_cameras(elevation)
    cameras = torch.from_numpy(camera_matrices(*angles)).to(device)
    owner = torch.arange(len(rows), device=device).repeat_interleave(cameras.shape[1])
    pictures = scenes.render(cameras.flatten(0, 1), owner, size).unflatten(0, cameras.shape[:2])
    grid = _grid(half_side, device)
    fields = (scenes[number : number + 1].distance(grid)[0].cpu().numpy() for number in range(len(rows)))
    points = workers.starmap(_surface_points, [(field, half_side) for field in fields])
    angles = torch.from_numpy(np.stack(angles, -1).astype(np.float32)).to(device)
    parts = (("seeds", slice(0, SEEDS)), ("held-out families", slice(SEEDS, None)))
    return [Group(name, pictures[part], angles[part], points[part]) for name, part in parts]


def object_group(library: ObjectLibrary, size: int) -> Group:
    """All objects of a library, unchanged."""
    rng = np.random.default_rng(5)
    meshes, elevation = library.scenes(np.arange(len(library)), rng)
    angles = plan_cameras(elevation)
    cameras = torch.from_numpy(camera_matrices(*angles)).to(library.device)
    pictures = [
        render_meshes(_rows(meshes, slice(k, k + 8)), cameras[k : k + 8], size) for k in range(0, len(library), 8)
    ]
    points = [visible_points(_rows(meshes, slice(k, k + 1))) for k in range(len(library))]
    angles = torch.from_numpy(np.stack(angles, -1).astype(np.float32)).to(library.device)
    return Group("real objects", torch.cat(pictures), angles, points)


def _rows(meshes: MeshBatch, rows: slice) -> MeshBatch:
    return MeshBatch(*(getattr(meshes, field.name)[rows] for field in dataclasses.fields(meshes)))


def visible_points(mesh: MeshBatch, size: int = 256) -> np.ndarray:
    """Points (M, 3) spread evenly over what 34 cameras all around see of one mesh: hidden inner faces do not count."""
    triangles = mesh.triangles[0, : int(mesh.counts[0])]
    edges = triangles[:, 1:] - triangles[:, :1]
    area = torch.cross(edges[:, 0], edges[:, 1], dim=-1).norm(dim=-1).clamp_min(1e-12)
    generator = torch.Generator(triangles.device).manual_seed(0)
    chosen = torch.multinomial(area, 2 * SAMPLES, replacement=True, generator=generator)
    u, v = torch.rand(2, 2 * SAMPLES, 1, device=triangles.device, generator=generator)
    u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
    points = triangles[chosen, 0] + u * edges[chosen, 0] + v * edges[chosen, 1]
    elevations = np.repeat([-20.0, 10.0, 45.0, 80.0], [10, 10, 10, 4])
    azimuths = np.concatenate([36.0 * np.arange(30), 90.0 * np.arange(4)])
    cameras = torch.from_numpy(camera_to_world(90 - elevations, azimuths)).to(triangles.device)
    depths = render_depths(mesh.triangles, mesh.counts, cameras[None], size)[0]
    local = (points[None] - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
    depth = -local[..., 2]
    column = ((0.5 + FOCAL * local[..., 0] / depth) * size).long()
    row = ((0.5 - FOCAL * local[..., 1] / depth) * size).long()
    framed = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    nearest = depths.flatten(1).gather(1, row.clamp(0, size - 1) * size + column.clamp(0, size - 1))
    visible = (framed & (depth < nearest + 0.015)).any(0)
    return points[visible].cpu().numpy()


def _grid(half_side: float, device) -> torch.Tensor:
    steps = torch.linspace(-half_side, half_side, GRID, device=device)
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)


def _surface_points(field: np.ndarray, half_side: float) -> np.ndarray:
    return surface_points(field.reshape(GRID, GRID, GRID), half_side, np.random.default_rng(0))


def f_scores(field: np.ndarray, half_side: float, truth: np.ndarray) -> tuple[float, float]:
    """F-scores at .05 and .02 of a distance field's surface; 0 where it has none."""
    try:
        points = _surface_points(field, half_side)
    except (ValueError, RuntimeError):
        return 0.0, 0.0
    side = np.ptp(truth, axis=0).max()
    to_truth, to_points = cKDTree(truth).query(points)[0] / side, cKDTree(points).query(truth)[0] / side
    shares = [((to_truth < t).mean(), (to_points < t).mean()) for t in (0.05, 0.02)]
    at_05, at_02 = (float(2 * p * r / max(p + r, 1e-9)) for p, r in shares)
    return at_05, at_02


@torch.inference_mode()
def evaluate(network: SurfaceNetwork, group: Group, views: torch.Tensor, use_above: bool, workers) -> dict[str, float]:
    """Scores of generated views (N, 9, S, S, 4) uint8 in the order of ``plan_cameras``.

    The surface network sees the input twice, as in the independent plan, whose first view repeats it; then the rings
    and, if ``use_above``, the view from above.
    """
    order = [0, 0, *range(9)[RING], *([ABOVE] if use_above else [])]
    pictures = views[:, order].permute(0, 1, 4, 2, 3).float() / 255
    angles = group.angles[:, order].cpu().numpy()
    cameras = torch.from_numpy(camera_matrices(angles[..., 0], angles[..., 1])).to(views.device)
    grid, jobs = _grid(network.half_side, views.device), []
    for number in range(len(views)):
        row = slice(number, number + 1)
        volume = network.unet(network.aggregate_views(network.extract_features(pictures[row]), cameras[row]))
        field = torch.cat([network.decoder(volume, part / network.half_side)[0] for part in grid.split(1 << 18, 1)], 1)
        jobs.append((field[0].float().cpu().numpy(), network.half_side, group.points[number]))
    scores = np.array(workers.starmap(f_scores, jobs)).mean(0)
    made, true = views[:, RING].float() / 255, group.pictures[:, RING].float() / 255
    psnr = -10 * torch.log10((made - true)[..., :3].square().mean((1, 2, 3, 4)).clamp_min(1e-6))
    inside, truly = made[..., 3] > 0.5, true[..., 3] > 0.5
    overlap = (inside & truly).sum((1, 2, 3)) / (inside | truly).sum((1, 2, 3)).clamp_min(1)
    values = (scores[0], scores[1], psnr.mean().item(), overlap.mean().item())
    return dict(zip(("f05", "f02", "psnr", "mask_iou"), map(float, values), strict=True))


@torch.inference_mode()
def elevation_error(model: Zero123, group: Group) -> float:
    """Median error of the elevation head in degrees."""
    embedding = model.encode_condition(as_input(group.pictures[:, 0, ..., :3]))[1]
    return (model.elevation(embedding)[0] - group.angles[:, 0, 0]).abs().median().item()


def independent_views(model: Zero123, group: Group) -> torch.Tensor:
    """The shipped model's views in the order of ``plan_cameras``, the input in the place of the view from above."""
    order = [0, 0, *range(9)[RING]]
    angles = group.angles[:, order]
    made = paint(model, group.pictures[:, 0], angles[..., 0], angles[..., 1], QUALITY_PRESETS["fast"])
    return torch.cat([group.pictures[:, :1], made], 1)


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
            record("true views", group, group.pictures)
            record("true views", group, group.pictures, use_above=True)
            independent = independent_views(shipped, group)
            record("shipped", group, independent, elevation_error=elevation_error(shipped, group))
            shown = None
            for steps, guidance in SETTINGS:
                views = generate_joint_views(joint, group.pictures[..., :3], group.angles, steps, guidance)
                error = elevation_error(joint, group)
                record("joint", group, views, steps=steps, guidance=guidance, elevation_error=error)
                shown = views if (steps, guidance) == (12, 1.3) else shown
            record("joint", group, shown, use_above=True, steps=12, guidance=1.3)
            two = generate_joint_views(
                joint, group.pictures[:, [0, 3, 1, 2, 4, 5, 6, 7, 8], :, :, :3],
                group.angles[:, [0, 3, 1, 2, 4, 5, 6, 7, 8]], 12, 1.3, clean=2,
            )  # fmt: skip
            record("joint, back given", group, two[:, [0, 2, 3, 1, 4, 5, 6, 7, 8]], steps=12, guidance=1.3)
            every = max(1, len(group.pictures) // 10)
            for number in range(0, len(group.pictures), every):
                sheet += [torch.cat(list(v[number, :, ..., :3]), 1) for v in (group.pictures, independent, shown)]
            (args.out / "scores.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    Image.fromarray(torch.cat(sheet).cpu().numpy()).save(args.out / "contact-sheet.png")


if __name__ == "__main__":
    main()

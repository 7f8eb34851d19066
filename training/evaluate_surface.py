"""Scores of a surface network during training, on the GPU machine; the numbers that count come from the benchmark."""

from __future__ import annotations

import numpy as np
import torch
from mcubes import marching_cubes
from scipy.spatial import cKDTree

GRID, SAMPLES = 112, 20_000


def surface_points(distance: np.ndarray, half_side: float, rng: np.random.Generator) -> np.ndarray:
    """Points (SAMPLES, 3) spread evenly over the zero surface of a (GRID, GRID, GRID) field."""
    padded = np.pad(distance, 1, constant_values=1.0)
    vertices, faces = marching_cubes(padded, 0.0)
    vertices = ((vertices - 1) / (GRID - 1) * 2 - 1) * half_side
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = corners[rng.choice(len(area), SAMPLES, p=area / area.sum())]
    u, v = rng.random((2, SAMPLES, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])


@torch.no_grad()
def report(network, store, half_side: float, count: int = 20) -> str:
    """Mean F-scores at .05 and .02 of a store's first scenes (longest side 1), and the worst tenth's bound."""
    device = store.pictures.device
    steps = torch.linspace(-half_side, half_side, GRID, device=device)
    grid = torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)
    rng, scores = np.random.default_rng(0), []
    for index in range(min(count, len(store.pictures))):
        pictures = store.pictures[index : index + 1].permute(0, 1, 4, 2, 3).float() / 255
        volume = network.unet(
            network.aggregate_views(network.extract_features(pictures), store.cameras[index : index + 1])
        )
        found = torch.cat([network.decoder(volume, part / half_side)[0] for part in grid.split(1 << 18, 1)], 1)
        truth = store.scenes[index : index + 1].distance(grid)
        try:
            ours, theirs = (
                surface_points(each[0].view(GRID, GRID, GRID).float().cpu().numpy(), half_side, rng)
                for each in (found, truth)
            )
        except (ValueError, RuntimeError):
            scores.append((0.0, 0.0))
            continue
        side = np.ptp(theirs, axis=0).max()
        to_truth, to_ours = cKDTree(theirs).query(ours)[0] / side, cKDTree(ours).query(theirs)[0] / side
        shares = [((to_truth < t).mean(), (to_ours < t).mean()) for t in (0.05, 0.02)]
        scores.append(tuple(2 * p * r / max(p + r, 1e-9) for p, r in shares))
    scores = np.array(scores)
    low = np.sort(scores, 0)[len(scores) // 10]
    return f"F@.05 {scores[:, 0].mean():.4f} F@.02 {scores[:, 1].mean():.4f} worst tenth {low[0]:.3f} {low[1]:.3f}"

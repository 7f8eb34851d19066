"""Scores of distance fields during training; the numbers of record come from the benchmark.

Lengths are in units of the true shape's longest side. F-scores and normal consistency are those of
``benchmark.metrics``, which needs libraries that a training machine may lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from mcubes import marching_cubes
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.surface.network import SurfaceNetwork
from training.cameras import camera_matrices

GRID = 112
"""Points along a side of the volume at which a field is evaluated."""
SAMPLES = 20_000
"""Points on each surface."""
THRESHOLDS = {"f05": 0.05, "f02": 0.02}


@dataclass(frozen=True)
class SampledSurface:
    """Points spread evenly over a surface."""

    points: np.ndarray
    """(N, 3)."""
    normals: np.ndarray
    """(N, 3) unit normals; their sign does not matter."""
    genus: int | None
    """Sum over all components; None where it is not known."""


def grid_points(half_side: float, device: torch.device | str) -> torch.Tensor:
    """The points (1, GRID^3, 3) of the volume's grid, x slowest."""
    steps = torch.linspace(-half_side, half_side, GRID, device=device)
    return torch.stack(torch.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(1, -1, 3)


@torch.inference_mode()
def predict_fields(network: SurfaceNetwork, images: torch.Tensor, angles: torch.Tensor) -> Iterator[np.ndarray]:
    """The field (GRID^3,) of each scene from its views (N, V, S, S, 4) uint8, the input first, and their elevations and
    azimuths (N, V, 2) in degrees."""
    elevations, azimuths = np.moveaxis(angles.cpu().numpy(), -1, 0)
    cameras = torch.from_numpy(camera_matrices(elevations, azimuths)).to(images.device)
    grid = grid_points(network.half_side, images.device)
    for number in range(len(images)):
        row = slice(number, number + 1)
        features = network.extract_features(images[row].permute(0, 1, 4, 2, 3).float() / 255)
        volume = network.unet(network.aggregate_views(features, cameras[row]))
        blocks = [network.decoder(volume, block / network.half_side)[0] for block in grid.split(1 << 18, 1)]
        yield torch.cat(blocks, 1)[0].float().cpu().numpy()


def sample_field(field: np.ndarray, half_side: float) -> SampledSurface | None:
    """The zero level of a field (GRID^3,), x slowest; None where there is none."""
    padded = np.pad(field.reshape(GRID, GRID, GRID), 1, constant_values=1.0)
    vertices, faces = marching_cubes(padded, 0.0)
    if not len(faces):
        return None
    vertices = ((vertices - 1) / (GRID - 1) * 2 - 1) * half_side
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    rng = np.random.default_rng(0)
    face = rng.choice(len(area), SAMPLES, p=area / area.sum())
    chosen = corners[face]
    u, v = rng.random((2, SAMPLES, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    points = chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])
    return SampledSurface(points, cross[face] / area[face, None], _genus(len(vertices), faces))


def _genus(vertices: int, faces: np.ndarray) -> int:
    """Of a closed mesh: every face has three halves of edges."""
    a, b = np.concatenate([faces[:, :2], faces[:, 1:]]).astype(np.int64).T
    components = connected_components(coo_array((np.ones(len(a)), (a, b)), (vertices, vertices)), directed=False)[0]
    return components - (vertices - len(faces) // 2) // 2


def score_field(field: np.ndarray, half_side: float, truth: SampledSurface) -> dict[str, float]:
    """``f05``, ``f02``, ``normal_consistency`` and, where the true genus is known, ``genus_within_1`` (0 or 1) of a
    field (GRID^3,); all 0 where it has no surface."""
    prediction = sample_field(field, half_side)
    scores = {}
    if truth.genus is not None:
        genus = prediction.genus if prediction else None
        scores["genus_within_1"] = float(genus is not None and abs(genus - truth.genus) <= 1)
    if prediction is None:
        return dict.fromkeys((*THRESHOLDS, "normal_consistency"), 0.0) | scores
    side = np.ptp(truth.points, axis=0).max()
    to_truth, nearest_true = cKDTree(truth.points).query(prediction.points)
    to_prediction, nearest_predicted = cKDTree(prediction.points).query(truth.points)
    for name, threshold in THRESHOLDS.items():
        precision, recall = (to_truth < threshold * side).mean(), (to_prediction < threshold * side).mean()
        scores[name] = float(2 * precision * recall / max(precision + recall, 1e-9))
    one_way = np.abs((prediction.normals * truth.normals[nearest_true]).sum(-1)).mean()
    other_way = np.abs((truth.normals * prediction.normals[nearest_predicted]).sum(-1)).mean()
    return scores | {"normal_consistency": float(one_way + other_way) / 2}

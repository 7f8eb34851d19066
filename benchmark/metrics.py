"""Metrics of a predicted mesh against the true one, in the input camera's frame, without any alignment.

Lengths are in units of the true shape's longest side. F-score: "What Do Single-view 3D Reconstruction Networks Learn?"
(Tatarchenko et al. 2019, section 4). Chamfer distance: mean of both one-way mean distances, not squared. Normal
consistency: mean |cos| between the normals of nearest samples, both ways (Mescheder et al. 2019, section 4). Error of
colors: root mean square over true points of the difference to the nearest predicted point's color, in sRGB 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import label
from scipy.spatial import KDTree

from backend.data_types import Mesh, TexturedMesh
from backend.meshing.measurement import is_watertight
from backend.rendering.sampling import sample_texture

from .surface_points import face_normals, sample_surface

THRESHOLDS = {"f05": 0.05, "f02": 0.02, "f10": 0.1}
"""F-score -> its distance threshold."""
SAMPLES = 100_000
"""Points on each surface; of the true one, those are left out that cannot be seen from outside."""
STRIDE = 4
"""Distances are measured from every so many of the points to the nearest of all points on the other surface: this
changes means by their sampling error only, and takes a quarter of the time."""
GRID = 128
"""Cells along a side of the cube in which volumes are compared."""


@dataclass(frozen=True)
class ReferenceSurface:
    """Points of the true surface, which all predictions are compared with."""

    points: np.ndarray
    """(P, 3)"""
    normals: np.ndarray
    """(P, 3)"""
    colors: np.ndarray
    """(P, 3) sRGB 0..1"""
    visible: np.ndarray
    """(P,) bool: what the input camera sees."""
    unit: float
    """The true shape's longest side."""

    def compare(self, prediction: TexturedMesh) -> dict[str, float]:
        """F-scores, Chamfer distance, normal consistency; recall, and error of colors, of what the input camera sees
        and of the rest of the true surface."""
        mesh = prediction.mesh
        at = sample_surface(mesh, SAMPLES, seed=1)
        normals = face_normals(mesh, at.faces)
        to_truth, nearest_true = self._tree.query(at.points[::STRIDE], workers=-1)
        to_prediction, nearest = _tree(at.points).query(self.points[::STRIDE], workers=-1)
        to_truth, to_prediction = to_truth / self.unit, to_prediction / self.unit
        result = {name: _f_score(to_truth < limit, to_prediction < limit) for name, limit in THRESHOLDS.items()}
        result["chamfer"] = float(to_truth.mean() + to_prediction.mean()) / 2
        one_way = np.abs(np.einsum("pc,pc->p", normals[::STRIDE], self.normals[nearest_true])).mean()
        other_way = np.abs(np.einsum("pc,pc->p", self.normals[::STRIDE], normals[nearest])).mean()
        result["normal_consistency"] = float(one_way + other_way) / 2
        uvs = np.einsum("pc,pcd->pd", at.weights[nearest], prediction.uvs[at.faces[nearest]])
        square = ((sample_texture(prediction.texture, uvs) - self.colors[::STRIDE]) ** 2).mean(-1)
        seen = self.visible[::STRIDE]
        for name, subset in (("visible", seen), ("hidden", ~seen)):
            for key, limit in THRESHOLDS.items():
                recall = float(np.mean(to_prediction[subset] < limit)) if subset.any() else float("nan")
                result[f"recall_{name}_{key[1:]}"] = recall
            result[f"color_{name}"] = float(np.sqrt(square[subset].mean())) if subset.any() else float("nan")
        return result

    @cached_property
    def _tree(self) -> KDTree:
        return _tree(self.points)


def _tree(points: np.ndarray) -> KDTree:
    # These settings are five times as fast as the defaults where one surface runs far from the other.
    return KDTree(points, leafsize=32, compact_nodes=False)


def _f_score(is_precise: np.ndarray, is_recalled: np.ndarray) -> float:
    precision, recall = float(is_precise.mean()), float(is_recalled.mean())
    return 2 * precision * recall / max(precision + recall, 1e-12)


def volume_iou(truth: Mesh, prediction: Mesh, cells: int = GRID) -> float | None:
    """Common volume over joint volume in a cube around both; None unless both are watertight."""
    if not (is_watertight(truth.faces) and is_watertight(prediction.faces)):
        return None
    both = np.concatenate([truth.vertices, prediction.vertices]).astype(np.float64)
    low, high = both.min(0), both.max(0)
    side = float((high - low).max()) * 1.01
    corner = (low + high - side) / 2
    a, b = (occupancy(mesh, corner, side, cells) for mesh in (truth, prediction))
    return float((a & b).sum() / max((a | b).sum(), 1))


def occupancy(mesh: Mesh, corner: np.ndarray, side: float, cells: int) -> np.ndarray:
    """Which cell centers of a cube lie inside a watertight mesh: (cells, cells, cells) bool, indexed [x, y, z].

    Along every column parallel to z the faces crossed are counted: odd is inside.
    """
    # A tiny offset from the exact centers, so that no column runs through an edge of an axis-aligned mesh.
    local = (mesh.vertices.astype(np.float64) - corner) * (cells / side) - 0.5 + (1.7e-5, 2.9e-5, 0)
    triangles = local[mesh.faces]
    low = np.ceil(triangles[..., :2].min(1)).clip(0, cells).astype(int)
    high = np.floor(triangles[..., :2].max(1)).clip(-1, cells - 1).astype(int) + 1
    spans = np.maximum(high - low, 0)
    counts = spans.prod(-1)
    face = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    x, y = low[face, 0] + within // spans[face, 1], low[face, 1] + within % spans[face, 1]
    a, b, c = np.moveaxis(triangles[face], 1, 0)
    weights = np.stack([_signed_area(b, c, x, y), _signed_area(c, a, x, y), _signed_area(a, b, x, y)], -1)
    through = (weights > 0).all(-1) | (weights < 0).all(-1)
    weights, x, y = weights[through], x[through], y[through]
    corner_z = np.stack([a[through, 2], b[through, 2], c[through, 2]], -1)
    z = (weights * corner_z).sum(-1) / weights.sum(-1)
    crossings = np.zeros((cells, cells, cells + 1), np.int32)
    np.add.at(crossings, (x, y, np.ceil(z).clip(0, cells).astype(int)), 1)
    return np.cumsum(crossings, -1)[..., :cells] % 2 == 1


def _signed_area(start, end, x, y):
    """Twice the signed area of (start, end, (x, y)), computed alike for both faces of an edge."""
    swap = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    first, last = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    area = (last[:, 0] - first[:, 0]) * (y - first[:, 1]) - (last[:, 1] - first[:, 1]) * (x - first[:, 0])
    return np.where(swap, -area, area)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Common over joint area of two boolean masks."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def torn_pixels(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean number of torn pixels in silhouettes (N, S, S) bool: holes in the prediction's where the truth is solid."""
    torn = 0
    for solid, predicted in zip(truth, prediction, strict=True):
        background = np.pad(~predicted, 1, constant_values=True)
        parts = np.zeros(background.shape, np.int32)
        label(background, output=parts)
        torn += int(((parts > 0) & (parts != parts[0, 0]))[1:-1, 1:-1][solid].sum())
    return torn / len(truth)


def psnr(truth: np.ndarray, prediction: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio (dB) of images (..., 3) 0..1, over the pixels ``where`` (...,) only; at most 60."""
    square = (truth.astype(np.float64) - prediction) ** 2
    if where is not None:
        if not where.any():
            return float("nan")
        square = square[where]
    return float(-10 * np.log10(max(square.mean(), 1e-6)))

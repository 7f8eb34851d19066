"""Scenes in world space with an exactly known surface: the ground truth of the benchmark and of the training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from procedural.sdf import object_color, object_distance

HELD_OUT_PATH = Path(__file__).parent / "held_out.npz"


@dataclass(frozen=True)
class Scene:
    """One scene in world space (docs/architecture.md); its input camera is at azimuth 0."""

    name: str
    family: str
    group: str
    """``in_distribution``: a held-out seed of a training family; ``held_out_families``: a family never trained on."""
    elevation: float
    """Of the input camera, in degrees."""
    rows: np.ndarray
    """(P, 32) float32, see ``procedural.schema``."""
    object_to_world: np.ndarray
    """(6,) float32: scale, translation x 3, cos yaw, sin yaw."""
    light: np.ndarray
    """(4,) float32: unit direction towards the light, ambient fraction."""
    half_side: float = 0.6
    """Half the side of the world-space cube that holds the scene."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) -> signed distance (P,) in world units, positive outside."""
        distance, _ = object_distance(torch.from_numpy(self.rows), self._to_object(points))
        return (distance * float(self.object_to_world[0])).numpy()

    def color(self, points: np.ndarray) -> np.ndarray:
        """World points (P, 3) on the surface -> albedo (P, 3) sRGB 0..1."""
        rows, local = torch.from_numpy(self.rows), self._to_object(points)
        _, owner = object_distance(rows, local)
        return object_color(rows, local, owner).clamp(0, 1).numpy()

    def _to_object(self, points: np.ndarray) -> torch.Tensor:
        scale, tx, ty, tz, cos, sin = (float(value) for value in self.object_to_world)
        shifted = (torch.from_numpy(np.ascontiguousarray(points, np.float32)) - torch.tensor([tx, ty, tz])) / scale
        x, y, z = shifted.unbind(-1)
        return torch.stack([cos * x + sin * y, cos * y - sin * x, z], -1)


def shade(albedo: np.ndarray, normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Albedo (P, 3) and unit world normals (P, 3) -> color (P, 3) under the soft ``light`` (4,) of a scene."""
    ambient = light[3]
    lit = 0.75 * np.clip(normals @ light[:3], 0, None) + 0.25 * (0.5 + 0.5 * normals[:, 2])
    return albedo * (ambient + (1 - ambient) * lit)[:, None]


def load_held_out() -> list[Scene]:
    """The fixed, published list of held-out scenes (written by ``procedural.held_out``)."""
    with np.load(HELD_OUT_PATH, allow_pickle=False) as stored:
        data = {key: stored[key] for key in stored.files}
    return [
        Scene(
            name=str(data["name"][i]),
            family=str(data["family"][i]),
            group=str(data["group"][i]),
            elevation=float(data["elevation"][i]),
            rows=data["rows"][i, : data["count"][i]],
            object_to_world=data["object_to_world"][i],
            light=data["light"][i],
        )
        for i in range(len(data["name"]))
    ]

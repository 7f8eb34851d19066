"""The starter surface network's field: a small perceptron reads distance and color from a feature volume."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import ErrorCode, UserError
from .silhouette_constraint import SilhouetteConstraint
from .trilinear import TrilinearTable

BLOCK_SIZE = 1 << 18
"""Points evaluated at once on a GPU: about 100 MB of activations."""
CPU_BLOCK_SIZE = 1 << 14
"""The same on a CPU, whose caches hold the activations of no more: with 16 times as many it takes twice as long."""
DISTANCE_UNIT = 0.1
"""The perceptron's distances are in this many world units, which keeps its outputs near one."""


class Decoder(nn.Module):
    """Trilinear interpolation in a feature volume, followed by a perceptron."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels + 3, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 4)
        )

    def forward(self, volume: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Volume (B, C, R, R, R) and points (B, P, 3) in -1..1 -> distances (B, P) in world units and
        colors (B, P, 3) in 0..1."""
        grid = points.flip(-1)[:, :, None, None]  # grid_sample expects the fastest axis first
        features = F.grid_sample(volume.float(), grid, padding_mode="border", align_corners=False)[..., 0, 0]
        return self.decode(features.transpose(1, 2), points)

    def decode(self, features: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same from the features (B, P, C) that the volumes have at these points."""
        output = self.layers(torch.cat([features, points], -1)).float()
        return output[..., 0] * DISTANCE_UNIT, torch.sigmoid(output[..., 1:])


class VolumeField:
    """A ``Field`` (backend/data_types.py) made of volumes (N, C, R, R, R), each one reconstruction of the object, and a
    decoder on the same device: the mean of what it reads from each."""

    def __init__(
        self,
        volumes: torch.Tensor,
        decoder: Decoder,
        half_side: float,
        silhouette_constraint: SilhouetteConstraint | None = None,
    ):
        self.volumes, self.decoder, self.half_side = volumes, decoder, half_side
        self.silhouette_constraint = silhouette_constraint
        self._table = TrilinearTable(volumes) if volumes.device.type == "cpu" else None

    @torch.inference_mode()
    def _decode(self, points: np.ndarray, output: int) -> np.ndarray:
        """One of the decoder's outputs, 0 or 1, at world points (P, 3)."""
        scaled = torch.from_numpy(np.ascontiguousarray(points, np.float32)) / self.half_side
        blocks = []
        for block in scaled.split(BLOCK_SIZE if self._table is None else CPU_BLOCK_SIZE):
            points_of_each = block.to(self.volumes.device).expand(len(self.volumes), -1, -1)
            decoded = (
                self.decoder(self.volumes, points_of_each)
                if self._table is None
                else self.decoder.decode(self._table(block), points_of_each)
            )
            blocks.append(decoded[output].mean(0).cpu())
        return torch.cat(blocks).numpy() if blocks else np.zeros((0, 3)[: 1 + output], np.float32)

    def distance(self, points: np.ndarray) -> np.ndarray:
        distance = self._decode(points, 0)
        return distance if self.silhouette_constraint is None else self.silhouette_constraint.apply(points, distance)

    def color(self, points: np.ndarray) -> np.ndarray:
        return self._decode(points, 1)

    def grid_to_world(self, points: np.ndarray) -> np.ndarray:
        return (points * self.half_side).astype(np.float32)

    def tensors(self) -> dict[str, torch.Tensor]:
        decoder = {f"decoder.{name}": tensor.cpu() for name, tensor in self.decoder.state_dict().items()}
        constraint = {} if self.silhouette_constraint is None else self.silhouette_constraint.tensors()
        return {"volume": self.volumes.half().cpu(), "half_side": torch.tensor(self.half_side), **decoder, **constraint}


def from_tensors(tensors: dict[str, torch.Tensor], path: Path | str, device: str | torch.device = "cpu") -> VolumeField:
    """The field that ``VolumeField.tensors`` described. Raises UserError ``broken_field``, which names ``path``."""
    try:
        volumes, half_side = tensors.pop("volume").float(), float(tensors.pop("half_side"))
        if volumes.dim() == 4:  # as earlier versions wrote it
            volumes = volumes[None]
        if (
            volumes.dim() != 5
            or len(set(volumes.shape[2:])) != 1
            or volumes.shape[-1] < 2
            or not 0 < half_side < math.inf
        ):
            raise ValueError("not a volume of features")
        constraint = SilhouetteConstraint.from_tensors(tensors)
        layers = {name.removeprefix("decoder."): tensor for name, tensor in tensors.items() if "decoder." in name}
        decoder = Decoder(volumes.shape[1], layers["layers.0.weight"].shape[0])
        decoder.load_state_dict(layers)
    except (KeyError, RuntimeError, IndexError, ValueError) as error:
        raise UserError(
            ErrorCode.BROKEN_FIELD, f"{path} does not contain a field of this version: generate the mesh again."
        ) from error
    return VolumeField(volumes.to(device), decoder.requires_grad_(False).eval().to(device), half_side, constraint)

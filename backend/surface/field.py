"""A signed distance and a color at every point, read from a feature volume by a small perceptron."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import ErrorCode, UserError
from .silhouette_constraint import Outline

BLOCK = 1 << 18
"""Points evaluated at once: about 100 MB of activations."""
DISTANCE_UNIT = 0.1
"""The perceptron answers in this many world units, so that its numbers stay near one."""


class Decoder(nn.Module):
    """Trilinear look-up in a volume, then a perceptron."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels + 3, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 4)
        )

    def forward(self, volume: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Volume (B, C, R, R, R) and points (B, P, 3) in -1..1 -> distances (B, P) in world units and
        colors (B, P, 3)."""
        grid = points.flip(-1)[:, :, None, None]  # grid_sample wants the fastest axis first
        found = F.grid_sample(volume.float(), grid, padding_mode="border", align_corners=False)[..., 0, 0]
        answer = self.layers(torch.cat([found.transpose(1, 2), points], -1)).float()
        return answer[..., 0] * DISTANCE_UNIT, torch.sigmoid(answer[..., 1:])


class VolumeField:
    """The ``Field`` of ``data.py`` made of a volume (C, R, R, R) and a decoder on the same device."""

    def __init__(self, volume: torch.Tensor, decoder: Decoder, half_side: float, outline: Outline | None = None):
        self.volume, self.decoder, self.half_side, self.outline = volume, decoder, half_side, outline

    @torch.inference_mode()
    def _query(self, points: np.ndarray, part: int) -> np.ndarray:
        scaled = torch.from_numpy(np.ascontiguousarray(points, np.float32)) / self.half_side
        blocks = [
            self.decoder(self.volume[None], block[None].to(self.volume.device))[part][0].cpu()
            for block in scaled.split(BLOCK)
        ]
        return torch.cat(blocks).numpy() if blocks else np.zeros((0, 3)[: 1 + part], np.float32)

    def distance(self, points: np.ndarray) -> np.ndarray:
        found = self._query(points, 0)
        return found if self.outline is None else self.outline.apply(points, found)

    def color(self, points: np.ndarray) -> np.ndarray:
        return self._query(points, 1)

    def grid_to_world(self, points: np.ndarray) -> np.ndarray:
        return (points * self.half_side).astype(np.float32)

    def tensors(self) -> dict[str, torch.Tensor]:
        decoder = {f"decoder.{name}": tensor.cpu() for name, tensor in self.decoder.state_dict().items()}
        outline = {} if self.outline is None else self.outline.tensors()
        return {"volume": self.volume.half().cpu(), "half_side": torch.tensor(self.half_side), **decoder, **outline}


def field_from(tensors: dict[str, torch.Tensor], path: Path | str, device: str | torch.device = "cpu") -> VolumeField:
    """The field that ``VolumeField.tensors`` described; ``path`` is named if it cannot be. Raises UserError."""
    try:
        volume, half_side = tensors.pop("volume").float(), float(tensors.pop("half_side"))
        outline = Outline.from_tensors(tensors)
        layers = {name.removeprefix("decoder."): tensor for name, tensor in tensors.items() if "decoder." in name}
        decoder = Decoder(volume.shape[0], layers["layers.0.weight"].shape[0])
        decoder.load_state_dict(layers)
    except (KeyError, RuntimeError, IndexError) as error:
        raise UserError(
            ErrorCode.FIELD_BROKEN, f"{path} does not hold a field of this version: generate the mesh again."
        ) from error
    return VolumeField(volume.to(device), decoder.requires_grad_(False).eval().to(device), half_side, outline)

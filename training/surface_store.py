"""Scenes with true or painted views in GPU memory, for the training of the surface network."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from backend.views.zero123.model import Zero123
from procedural.triton_depth import depths
from procedural.triton_renderer import Scenes
from training import pool
from training.paint import paint, plan_angles
from training.surface_model import CONFIG

RINGS = 9
"""Views of a sample that are always shown: the input and both rings."""
NEIGHBORS = 0, 16, 32
"""How many of the 32 neighbors are shown besides, in turn: a CPU's users get by without, a GPU's have them all."""
FIELDS = ("rows", "counts", "object_to_world", "light")
"""What ``Scenes`` is made of."""


class Store:
    """Scenes with their pictures in GPU memory: pictures (N, V, S, S, 4) uint8, cameras (N, V, 4, 4) and depths
    (N, V, S, S, 2) float16, the true ones also of views that were painted.

    A scene is drawn as often as it was answered badly: most are soon known well, and what is left to learn is in few.
    """

    def __init__(self, count: int, stream, painter: Zero123 | None, neighbors: bool):
        self.stream, self.painter, self.neighbors, self.next = stream, painter, neighbors, 0
        chunks = [self._chunk() for _ in range(count // pool.CHUNK)]
        self.pictures, self.cameras, self.depths = (torch.cat([chunk[k] for chunk in chunks]) for k in (1, 2, 3))
        joined = (torch.cat([getattr(chunk[0], name) for chunk in chunks]) for name in FIELDS)
        self.scenes = Scenes(*joined, self.pictures.device)
        self.weights = torch.ones(len(self.pictures), device=self.pictures.device)

    def _chunk(self) -> tuple[Scenes, torch.Tensor, torch.Tensor, torch.Tensor]:
        scenes, elevation = next(self.stream)
        elevations, azimuths = plan_angles(elevation)
        if not self.neighbors:
            elevations, azimuths = elevations[:, :RINGS], azimuths[:, :RINGS]
        pictures = pool.render(scenes, elevations, azimuths, CONFIG["image_size"])
        if self.painter is not None:
            pictures[:, 1:] = paint(self.painter, pictures[:, 0], elevations, azimuths)
        cameras = pool.cameras(elevations, azimuths)
        return scenes, pictures, cameras, depths(scenes, cameras, CONFIG["image_size"], CONFIG["half_side"])

    def refresh(self) -> None:
        """Replace the oldest chunk of scenes."""
        mine = slice(self.next, self.next + pool.CHUNK)
        self.next = (self.next + pool.CHUNK) % len(self.pictures)
        scenes, self.pictures[mine], self.cameras[mine], self.depths[mine] = self._chunk()
        for name in FIELDS:
            getattr(self.scenes, name)[mine] = getattr(scenes, name)
        self.weights[mine] = self.weights.mean()

    def learn(self, errors: torch.Tensor) -> None:
        """How badly (B,) the scenes drawn last were answered."""
        self.weights[self.drawn] = errors

    def draw(self, batch: int, neighbors: int) -> tuple[Scenes, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Scenes, pictures (B, V, 4, S, S) 0..1, cameras (B, V, 4, 4) and depths (B, V, S, S, 2) of a random batch:
        the input, then the rings and, where the store has any, ``neighbors`` in random order."""
        device = self.pictures.device
        self.drawn = torch.multinomial(self.weights, batch)
        index = self.drawn[:, None]
        beyond = torch.arange(RINGS, self.pictures.shape[1], device=device)
        beyond = beyond[torch.randperm(len(beyond), device=device)[:neighbors]]
        others = torch.cat([torch.arange(1, RINGS, device=device), beyond])
        chosen = F.pad(others[torch.randperm(len(others), device=device)], (1, 0))
        pictures = self.pictures[index, chosen].permute(0, 1, 4, 2, 3).float() / 255
        return self.scenes[index[:, 0]], pictures, self.cameras[index, chosen], self.depths[index, chosen]

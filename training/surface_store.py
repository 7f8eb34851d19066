"""Scenes with true or painted views in GPU memory, for the training of the surface network."""

from __future__ import annotations

import torch

from backend.zero123.model import Zero123
from training import pool
from training.paint import paint, plan_angles
from training.render import Scenes
from training.surface_model import CONFIG

RINGS, NEIGHBOURS = 9, 5
"""Views of a sample: the input and both rings, and this many of the 32 neighbours."""
FIELDS = ("rows", "counts", "placement", "light")
"""What ``Scenes`` is made of."""


class Store:
    """Scenes with their pictures in GPU memory: pictures (N, V, S, S, 4) uint8 and cameras (N, V, 4, 4)."""

    def __init__(self, count: int, stream, painter: Zero123 | None, neighbours: bool):
        self.stream, self.painter, self.neighbours, self.next = stream, painter, neighbours, 0
        chunks = [self._chunk() for _ in range(count // pool.CHUNK)]
        self.pictures, self.cameras = (torch.cat([chunk[k] for chunk in chunks]) for k in (1, 2))
        joined = (torch.cat([getattr(chunk[0], name) for chunk in chunks]) for name in FIELDS)
        self.scenes = Scenes(*joined, self.pictures.device)

    def _chunk(self) -> tuple[Scenes, torch.Tensor, torch.Tensor]:
        scenes, elevation = next(self.stream)
        elevations, azimuths = plan_angles(elevation)
        if not self.neighbours:
            elevations, azimuths = elevations[:, :RINGS], azimuths[:, :RINGS]
        pictures = pool.render(scenes, elevations, azimuths, CONFIG["image_size"])
        if self.painter is not None:
            pictures[:, 1:] = paint(self.painter, pictures[:, 0], elevations, azimuths)
        return scenes, pictures, pool.cameras(elevations, azimuths)

    def refresh(self) -> None:
        """Replace the oldest chunk of scenes."""
        mine = slice(self.next, self.next + pool.CHUNK)
        self.next = (self.next + pool.CHUNK) % len(self.pictures)
        scenes, self.pictures[mine], self.cameras[mine] = self._chunk()
        for name in FIELDS:
            getattr(self.scenes, name)[mine] = getattr(scenes, name)

    def draw(self, batch: int):
        """Scenes, pictures (B, V, 4, S, S) 0..1 and cameras (B, V, 4, 4) of a random batch."""
        index = torch.randint(0, len(self.pictures), (batch,), device=self.pictures.device)
        pictures, cameras = self.pictures[index], self.cameras[index]
        if pictures.shape[1] > RINGS:
            extra = RINGS + torch.randperm(pictures.shape[1] - RINGS, device=index.device)[:NEIGHBOURS]
            chosen = torch.cat([torch.arange(RINGS, device=index.device), extra])
            pictures, cameras = pictures[:, chosen], cameras[:, chosen]
        return self.scenes[index], pictures.permute(0, 1, 4, 2, 3).float() / 255, cameras

"""Random scenes, objects of packs or procedural ones, framed for an input camera, and their pictures."""

from __future__ import annotations

import numpy as np
import torch

from procedural.triton_renderer import Scenes
from training.config import RunConfig
from training.mesh_rasterizer import MeshBatch, render_meshes
from training.object_library import ObjectLibrary
from training.procedural_scenes import started_scenes


class RandomScenes:
    """An endless supply of scenes, ``config.scenes_per_chunk`` at once."""

    def __init__(
        self,
        config: RunConfig,
        library: ObjectLibrary | None,
        seed: int,
        workers: int,
        device: torch.device,
    ):
        """``library`` None makes all scenes procedural; ``workers``: processes that make procedural scenes, forked
        now."""
        self._procedural = started_scenes(config, library is not None, seed, workers, device)
        self._config, self._library = config, library
        self._made = 0

    def sample(self, rng: np.random.Generator) -> tuple[MeshBatch | Scenes, np.ndarray]:
        """Scenes (N) and the elevations (N,) in degrees of the input cameras that they are framed for. Objects come
        evenly in time, ``object_share`` of all."""
        config = self._config
        share = config.object_share if self._library else 0.0
        self._made += 1
        if self._library and int(self._made * share) > int((self._made - 1) * share):
            return self._library.sample(config.scenes_per_chunk, rng, config.joined_share, config.pattern_share)
        scenes, elevation = next(self._procedural)
        return scenes, elevation.cpu().numpy()


def render_scenes(scenes: MeshBatch | Scenes, cameras: torch.Tensor, size: int) -> torch.Tensor:
    """Scenes (N) seen by cameras (N, V, 4, 4): (N, V, size, size, 4) uint8, color on white and coverage."""
    if isinstance(scenes, MeshBatch):
        return render_meshes(scenes, cameras, size)
    scene_of_view = torch.arange(len(scenes), device=cameras.device).repeat_interleave(cameras.shape[1])
    return scenes.render(cameras.flatten(0, 1), scene_of_view, size).unflatten(0, cameras.shape[:2])

"""Inputs from all around objects and procedural scenes, as users bring them, with the elevations of their cameras."""

from __future__ import annotations

import numpy as np
import torch

from procedural.sampling import sample_elevation
from procedural.triton_renderer import Scenes
from training.cameras import camera_matrices
from training.config import ElevationConfig, derive_seed
from training.input_augmentation import LARGEST_REFRAMING, change_lens, change_tones, degrade_cutouts, reframe
from training.lighting import relight
from training.mesh_rasterizer import MeshBatch
from training.object_library import ObjectLibrary
from training.random_scenes import RandomScenes, render_scenes


class ElevationScenes:
    """An endless supply of random inputs."""

    def __init__(
        self,
        config: ElevationConfig,
        library: ObjectLibrary | None,
        size: int,
        step: int,
        rank: int,
        workers: int,
        device: torch.device,
    ):
        """Other scenes for every ``step`` at which a run (re)starts, and every process. ``library`` None makes all of
        them procedural; ``size``: side of the pictures in pixels; ``workers``: processes that make procedural ones,
        forked now."""
        seed = derive_seed(config.run, step, rank, "scenes")
        self._scenes = RandomScenes(config, library, seed, workers, device)
        self._config, self._size, self._device = config, size, device
        self._rng = np.random.default_rng(seed)

    def next_chunk(self) -> dict[str, torch.Tensor]:
        """Random scenes: ``picture`` (N, V, S, S, 3) uint8 on white, ``elevation`` (N, V) in degrees."""
        config, rng = self._config, self._rng
        scenes, elevation = self._scenes.sample(rng)
        shape = len(elevation), config.views_per_scene
        elevations = np.array([[sample_elevation(rng) for _ in range(shape[1])] for _ in elevation])
        azimuths = rng.uniform(0, 360, shape)
        elevations[:, 0], azimuths[:, 0] = elevation, 0
        cameras = torch.from_numpy(camera_matrices(elevations, azimuths)).to(self._device)
        pictures = self._photograph(scenes, cameras)
        pictures = change_tones(pictures, config.tone_share, rng)
        for view in range(shape[1]):
            pictures[:, view] = degrade_cutouts(pictures[:, view], config.degraded_share, rng)
        degrees = torch.from_numpy(elevations.astype(np.float32)).to(self._device)
        return {"picture": pictures[..., :3].contiguous(), "elevation": degrees}

    def _photograph(self, scenes: MeshBatch | Scenes, cameras: torch.Tensor) -> torch.Tensor:
        """Scenes (N) by cameras (N, V, 4, 4), each framed by its cutout: (N, V, S, S, 4) uint8, color on white and
        coverage."""
        config, rng = self._config, self._rng
        if isinstance(scenes, MeshBatch):
            for view in range(cameras.shape[1]):
                cameras[:, view] = change_lens(cameras[:, view], config.lens_share, rng)[0]
        pictures = render_scenes(scenes, cameras, self._size)
        for view in range(cameras.shape[1]):
            pictures[:, view] = relight(pictures[:, view], scenes, cameras[:, view], config.lit_share, rng)
        return reframe(pictures.flatten(0, 1), LARGEST_REFRAMING).unflatten(0, cameras.shape[:2])

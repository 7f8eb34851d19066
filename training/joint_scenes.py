"""Scenes for the joint view model: pictures of objects and procedural scenes from many cameras, encoded by the VAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from procedural.triton_renderer import Scenes
from training.cameras import camera_matrices, sample_cameras
from training.config import JointViewsConfig, derive_seed
from training.images import as_input
from training.input_augmentation import change_lens, change_tones, degrade_cutouts, misplace, reframe
from training.lighting import relight
from training.mesh_rasterizer import MeshBatch, render_meshes
from training.object_library import ObjectLibrary
from training.procedural_scenes import render_scenes, started_scenes
from training.scene_buffer import SceneBuffer

Angles = tuple[np.ndarray, np.ndarray]
"""Elevations and azimuths (B, V) in degrees."""
Encode = Callable[[torch.Tensor], torch.Tensor]
"""Pictures (B, 3, S, S) in -1..1 -> latents (B, c, h, w)."""


class RenderedScenes(NamedTuple):
    """N scenes from V cameras, and one of these views once more, as somebody who has it gives it."""

    pictures: torch.Tensor
    """(N, V + 1, S, S, 4) uint8, color on white and coverage: the input, the other views, the given view."""
    angles: Angles
    """Of the V cameras."""
    given: torch.Tensor
    """(N,) which of the other views is the given one, 1 to V - 1."""
    is_object: bool
    """Whether the scenes show objects of packs."""


class JointScenes:
    """An endless supply of random scenes."""

    def __init__(
        self,
        config: JointViewsConfig,
        library: ObjectLibrary | None,
        size: int,
        seed: int,
        workers: int,
        device: torch.device,
    ):
        """``library`` None makes all scenes procedural; ``size``: side of the pictures in pixels; ``workers``:
        processes that make procedural scenes, forked now."""
        self._procedural = started_scenes(config, library is not None, seed, workers, device)
        self._config, self._library, self._size, self._device = config, library, size, device
        self._rng = np.random.default_rng(seed)
        self._made = 0

    def next_chunk(self, encode: Encode) -> dict[str, torch.Tensor]:
        """Random scenes: ``picture`` (N, S, S, 3) uint8 of the input, ``latents`` (N, V, c, h, w) float16, ``angles``
        (N, V, 2) elevation and azimuth in degrees, ``is_object`` (N,) bool; ``given`` (N,) one of the other views,
        ``given_latents`` (N, c, h, w) float16 what it looks like to somebody who gives it."""
        scenes = self.render_chunk()
        pictures = scenes.pictures[..., :3].clone()
        for view in (0, -1):
            degraded = degrade_cutouts(scenes.pictures[:, view], self._config.degraded_share, self._rng)
            pictures[:, view] = degraded[..., :3]
        with torch.no_grad():
            latents = encode(as_input(pictures.flatten(0, 1))).unflatten(0, pictures.shape[:2]).half()
        return {
            "picture": pictures[:, 0],
            "latents": latents[:, :-1],
            "angles": torch.from_numpy(np.stack(scenes.angles, -1).astype(np.float32)).to(self._device),
            "is_object": torch.full((len(pictures),), scenes.is_object, device=self._device),
            "given": scenes.given,
            "given_latents": latents[:, -1],
        }

    def render_chunk(self) -> RenderedScenes:
        """Random scenes."""
        config, rng = self._config, self._rng
        scenes, elevation = self._sample_scenes()
        angles = sample_cameras(elevation, config.view_plan, config.plan_share, rng)
        cameras, given = self._cameras(angles)
        changed = None
        if isinstance(scenes, MeshBatch):
            cameras[:, 0], changed = change_lens(cameras[:, 0], config.lens_share, rng)
            pictures = render_meshes(scenes, cameras, self._size)
        else:
            pictures = render_scenes(scenes, cameras, self._size)
        for view in (0, -1):
            pictures[:, view] = relight(pictures[:, view], scenes, cameras[:, view], config.lit_share, rng)
        if changed is not None:
            pictures[:, 0] = torch.where(changed.view(-1, 1, 1, 1), reframe(pictures[:, 0]), pictures[:, 0])
        pictures[:, -1] = misplace(pictures[:, -1], rng)
        pictures = change_tones(pictures, config.tone_share, rng)
        return RenderedScenes(pictures, angles, given, isinstance(scenes, MeshBatch))

    def _sample_scenes(self) -> tuple[MeshBatch | Scenes, np.ndarray]:
        """Scenes (N) and the elevations (N,) in degrees of the input cameras that they are framed for. Objects come
        evenly in time, ``object_share`` of all."""
        config = self._config
        self._made += 1
        if self._library and int(self._made * config.object_share) > int((self._made - 1) * config.object_share):
            return self._library.sample(config.scenes_per_chunk, self._rng, config.joined_share, config.pattern_share)
        scenes, elevation = next(self._procedural)
        return scenes, elevation.cpu().numpy()

    def _cameras(self, angles: Angles) -> tuple[torch.Tensor, torch.Tensor]:
        """Cameras (N, V + 1, 4, 4), the last that of the given view, and which that is (N,)."""
        count, views = angles[0].shape
        given = self._rng.integers(1, views, count)
        matrices = camera_matrices(*angles)
        matrices = np.concatenate([matrices, matrices[np.arange(count), given][:, None]], 1)
        return torch.from_numpy(matrices).to(self._device), torch.from_numpy(given).to(self._device)


def scenes_for_run(
    config: JointViewsConfig,
    library: ObjectLibrary | None,
    size: int,
    step: int,
    rank: int,
    workers: int,
    device: torch.device,
) -> JointScenes:
    """The scenes of a run that (re)starts at ``step``: other ones for every step and process."""
    return JointScenes(config, library, size, derive_seed(config.run, step, rank, "scenes"), workers, device)


def fill(buffer: SceneBuffer, scenes: JointScenes, count: int, encode: Encode) -> None:
    """Insert chunks until the buffer holds ``count`` scenes."""
    while len(buffer) < count:
        buffer.insert(scenes.next_chunk(encode))

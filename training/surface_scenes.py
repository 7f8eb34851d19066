"""Scenes for the surface network: true or generated views with their cameras and depths, and points with distances."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch

from procedural.triton_depth import depths
from training.cameras import camera_matrices, plan_cameras, random_cameras, sample_cameras
from training.config import SurfaceConfig, derive_seed
from training.generated_views import ViewGenerator
from training.input_augmentation import degrade_cutouts
from training.lighting import relight
from training.mesh_rasterizer import render_meshes
from training.object_library import ObjectLibrary
from training.procedural_scenes import render_scenes, started_scenes
from training.solid_meshes import SolidMeshes
from training.supervision import mesh_supervision, procedural_supervision

Angles = tuple[np.ndarray, np.ndarray]
"""Elevations and azimuths (B, V) in degrees."""
AnglesOf = Callable[[np.ndarray], Angles]
"""Cameras of scenes with input elevations (B,)."""
R2_SEQUENCE = 0.7548776662, 0.5698402910
"""Steps of a sequence that fills the unit square evenly: two shares are met at once, and independently."""


class SurfaceScenes:
    """An endless supply of random scenes."""

    def __init__(
        self,
        config: SurfaceConfig,
        library: ObjectLibrary | None,
        generator: ViewGenerator | None,
        size: int,
        half_side: float,
        seed: int,
        workers: int,
        device: torch.device,
    ):
        """``library`` None makes all scenes procedural, ``generator`` None all views true. ``size``: side of the images
        in pixels; ``half_side``: half the side of the volume; ``workers``: processes that make procedural scenes,
        forked now."""
        self._procedural = started_scenes(config, library is not None, seed, workers, device)
        self._config, self._library, self._generator, self._device = config, library, generator, device
        self._size, self._half_side = size, half_side
        self._rng = np.random.default_rng(seed)
        # The same in every process: generating takes long, and all wait for the slowest.
        self._shares = itertools.count(1)

    def next_chunk(self) -> dict[str, torch.Tensor]:
        """Random scenes of as many views as the plan has, the input first: ``images`` (N, V, S, S, 4) uint8,
        ``cameras`` (N, V, 4, 4), ``depths`` (N, V, S, S, 2) float16 of the true object, ``is_object`` and
        ``is_generated`` (N,) bool, and what ``training.supervision`` makes."""
        is_object, is_generated = self._kinds()
        planned = self._config.plan_share
        generated = planned * self._config.generated_share if self._generator else 0.0
        true_plan_share = (planned - generated) / max(1 - generated, 1e-9)

        def angles_of(elevations: np.ndarray) -> Angles:
            plan_share = 1.0 if is_generated else true_plan_share
            return sample_cameras(elevations, self._config.view_plan, plan_share, self._rng)

        return self._make(is_object, is_generated, angles_of)

    def next_chunk_of_many_views(self) -> dict[str, torch.Tensor]:
        """The same with the largest number of ``many_views``: the plan's, then random ones; all are true."""
        most = max(self._config.many_views)

        def angles_of(elevations: np.ndarray) -> Angles:
            planned = plan_cameras(elevations, self._config.view_plan)
            scattered = random_cameras(elevations, most, self._rng)
            elevation, azimuth = (np.concatenate([planned[k], scattered[k][:, 1:]], 1)[:, :most] for k in (0, 1))
            return elevation, azimuth

        return self._make(self._kinds()[0], False, angles_of)

    def _kinds(self) -> tuple[bool, bool]:
        """Whether the next chunk shows objects, and whether its views are generated."""
        u, v = (np.array(R2_SEQUENCE) * next(self._shares)) % 1
        generated = self._config.plan_share * self._config.generated_share
        is_object = self._library is not None and bool(u < self._config.object_share)
        return is_object, self._generator is not None and bool(v < generated)

    def _make(self, is_object: bool, is_generated: bool, angles_of: AnglesOf) -> dict[str, torch.Tensor]:
        make = self._make_objects if is_object else self._make_procedural
        angles, scenes = make(angles_of)
        images = scenes["images"]
        images[:, 0] = degrade_cutouts(images[:, 0], self._config.degraded_share, self._rng)
        if is_generated:
            assert self._generator is not None
            degrees = torch.from_numpy(np.stack(angles, -1).astype(np.float32)).to(self._device)
            seed = int(self._rng.integers(2**31))
            scenes["images"] = self._generator(images, degrees, seed)
        count = len(images)
        scenes["is_object"] = torch.full((count,), is_object, device=self._device)
        scenes["is_generated"] = torch.full((count,), is_generated, device=self._device)
        return scenes

    def _make_objects(self, angles_of: AnglesOf) -> tuple[Angles, dict[str, torch.Tensor]]:
        assert self._library is not None
        config = self._config
        meshes, elevations = self._library.sample(
            config.scenes_per_chunk, self._rng, config.joined_share, config.pattern_share
        )
        solids = SolidMeshes(meshes)
        if not solids.is_solid.any():
            return self._make_objects(angles_of)
        # An object that encloses nothing gives way to its neighbor.
        rows = torch.arange(len(elevations), device=self._device)
        rows = torch.where(solids.is_solid, rows, solids.is_solid.int().argmax())
        solids, elevations = solids[rows], elevations[rows.cpu().numpy()]
        angles = angles_of(elevations)
        cameras = torch.from_numpy(camera_matrices(*angles)).to(self._device)
        images = render_meshes(solids.meshes, cameras, self._size)
        images[:, 0] = relight(images[:, 0], solids.meshes, cameras[:, 0], self._config.lit_share, self._rng)
        return angles, {
            "images": images,
            "cameras": cameras,
            "depths": solids.depths(cameras, self._size, self._half_side),
            **mesh_supervision(solids, self._half_side),
        }

    def _make_procedural(self, angles_of: AnglesOf) -> tuple[Angles, dict[str, torch.Tensor]]:
        scenes, elevations = next(self._procedural)
        angles = angles_of(elevations.cpu().numpy())
        cameras = torch.from_numpy(camera_matrices(*angles)).to(self._device)
        images = render_scenes(scenes, cameras, self._size)
        images[:, 0] = relight(images[:, 0], scenes, cameras[:, 0], self._config.lit_share, self._rng)
        return angles, {
            "images": images,
            "cameras": cameras,
            "depths": depths(scenes, cameras, self._size, self._half_side),
            **procedural_supervision(scenes, self._half_side),
        }


def scenes_for_run(
    config: SurfaceConfig,
    library: ObjectLibrary | None,
    generator: ViewGenerator | None,
    size: int,
    half_side: float,
    step: int,
    rank: int,
    workers: int,
    device: torch.device,
) -> SurfaceScenes:
    """The scenes of a run that (re)starts at ``step``: other ones for every step and process."""
    seed = derive_seed(config.run, step, rank, "scenes")
    return SurfaceScenes(config, library, generator, size, half_side, seed, workers, device)

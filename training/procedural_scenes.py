"""An endless stream of random procedural scenes, normalized for their input cameras: no disk, no loader."""

from __future__ import annotations

import collections
import itertools
import multiprocessing
from collections.abc import Iterator

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from procedural import sampling
from procedural.joining import can_be_added, join
from procedural.normalization import bounding_radius, normalize_scene
from procedural.schema import IDENTITY_TRANSFORM, Column, Operation, pad_rows
from procedural.triton_renderer import Scenes
from training.config import RunConfig

CHUNK = 64


def sample_scene(seed: int, joined_share: float = 0.0) -> tuple[np.ndarray, float, float, np.ndarray]:
    """One random scene before it is normalized: rows (P, 32), yaw in radians, elevation in degrees, light (4,).
    A second scene is joined to ``joined_share`` of them, where that is possible (two in five)."""
    rng = np.random.default_rng((20261122, seed))
    rows = sampling.sample(sampling.sample_family(rng), seed)
    pose_and_light = sampling.sample_pose_and_light(rng)
    if rng.random() < joined_share:
        rows = _with_another(rows, sampling.sample(sampling.sample_family(rng), seed), rng)
    return rows, *pose_and_light


def _with_another(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two scenes, one of them smaller, turned and growing out of the other; the first alone where they cannot be
    joined."""
    if not can_be_added(second):
        first, second = second, first
    center = rng.permutation(first[first[:, Column.OPERATION] == Operation.UNION])[0, Column.CENTER : Column.ROTATION]
    scale = rng.uniform(0.25, 0.7) * bounding_radius(first) / bounding_radius(second)
    away = rng.normal(size=3)
    away *= scale * bounding_radius(second) * rng.uniform(0.2, 0.8) / np.linalg.norm(away)
    tilt = (rng.random() < 0.3) * rng.uniform(-90, 90, 2)
    rotation = Rotation.from_euler("zyx", [rng.uniform(0, 360), *tilt], degrees=True).as_matrix()
    try:
        return join(first, second, scale, rotation, center + away)
    except ValueError:
        return first


def _sample_scenes(start: int, count: int, joined_share: float) -> tuple[np.ndarray, ...]:
    sampled = [sample_scene(start + i, joined_share) for i in range(count)]
    rows = pad_rows([scene for scene, *_ in sampled])
    counts = np.array([len(scene) for scene, *_ in sampled], np.int32)
    radius = np.array([bounding_radius(scene) for scene, *_ in sampled], np.float32)
    yaw, elevation = (np.array([scene[i] for scene in sampled], np.float32) for i in (1, 2))
    return rows, counts, radius, yaw, elevation, np.stack([scene[3] for scene in sampled])


def started_scenes(
    config: RunConfig, has_objects: bool, seed: int, workers: int, device: torch.device
) -> Iterator[tuple[Scenes, torch.Tensor]]:
    """The procedural scenes of a run, as ``normalized_scenes``, whose workers are forked now; none where all of its
    scenes show objects."""
    if has_objects and config.object_share >= 1:
        return iter(())
    stream = normalized_scenes(seed, workers, device, config.scenes_per_chunk, config.joined_share)
    return itertools.chain([next(stream)], stream)  # the first starts the workers


def render_scenes(scenes: Scenes, cameras: torch.Tensor, size: int) -> torch.Tensor:
    """Scenes (N) seen by cameras (N, V, 4, 4): (N, V, size, size, 4) uint8, color on white and coverage."""
    scene_of_view = torch.arange(len(scenes), device=cameras.device).repeat_interleave(cameras.shape[1])
    return scenes.render(cameras.flatten(0, 1), scene_of_view, size).unflatten(0, cameras.shape[:2])


def normalized_scenes(
    start: int, workers: int, device, count: int = CHUNK, joined_share: float = 0.0
) -> Iterator[tuple[Scenes, torch.Tensor]]:
    """An endless stream of ``count`` normalized scenes with their input elevations (count,) in degrees, from seed
    ``start``; ``workers`` processes are forked when the first is asked for."""
    with multiprocessing.get_context("fork").Pool(workers) as processes:
        ahead = collections.deque(
            processes.apply_async(_sample_scenes, (start + k * count, count, joined_share)) for k in range(8 * workers)
        )
        for seed in itertools.count(start + len(ahead) * count, count):
            rows, counts, radius, yaw, elevation, light = ahead.popleft().get()
            ahead.append(processes.apply_async(_sample_scenes, (seed, count, joined_share)))
            whole = np.tile(np.array(IDENTITY_TRANSFORM, np.float32), (count, 1))
            scenes = Scenes(rows, counts, whole, light, device)
            tensors = [torch.from_numpy(values).to(device) for values in (radius, yaw, elevation)]
            object_to_world, good = normalize_scene(scenes.distance, *tensors)
            if not good.all():  # an empty scene (a cut that took everything) is replaced by its neighbor
                kept = torch.where(good, torch.arange(count, device=device), good.int().argmax())
                scenes, object_to_world, tensors[2] = scenes[kept], object_to_world[kept], tensors[2][kept]
            scenes.object_to_world = object_to_world.contiguous()
            yield scenes, tensors[2]

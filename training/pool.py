"""Scenes and their pictures in GPU memory, drawn, placed and rendered as training goes on: no disk, no loader."""

from __future__ import annotations

import collections
import itertools
import multiprocessing
from collections.abc import Iterator

import numpy as np
import torch

from backend.camera import camera_to_world
from procedural import sampling
from procedural.normalization import bounding_radius, normalize_scene
from procedural.schema import IDENTITY_TRANSFORM, pad_rows
from procedural.triton_renderer import Scenes

CHUNK = 64


def draw(seed: int) -> tuple[np.ndarray, float, float, np.ndarray]:
    """One random scene before it is placed: rows (P, 32), yaw in radians, elevation in degrees, light (4,)."""
    rng = np.random.default_rng((20261122, seed))
    rows = sampling.sample(sampling.sample_family(rng), seed)
    return rows, *sampling.sample_pose_and_light(rng)


def _draw_chunk(start: int) -> tuple[np.ndarray, ...]:
    drawn = [draw(start + i) for i in range(CHUNK)]
    rows = pad_rows([mine for mine, *_ in drawn])
    counts = np.array([len(mine) for mine, *_ in drawn], np.int32)
    radius = np.array([bounding_radius(mine) for mine, *_ in drawn], np.float32)
    yaw, elevation = (np.array([each[i] for each in drawn], np.float32) for i in (1, 2))
    return rows, counts, radius, yaw, elevation, np.stack([each[3] for each in drawn])


def placed_scenes(start: int, workers: int, device) -> Iterator[tuple[Scenes, torch.Tensor]]:
    """An endless stream of CHUNK placed scenes with their input elevations (CHUNK,) in degrees, from seed ``start``."""
    with multiprocessing.get_context("fork").Pool(workers) as processes:
        ahead = collections.deque(processes.apply_async(_draw_chunk, (start + k * CHUNK,)) for k in range(8 * workers))
        for seed in itertools.count(start + len(ahead) * CHUNK, CHUNK):
            rows, counts, radius, yaw, elevation, light = ahead.popleft().get()
            ahead.append(processes.apply_async(_draw_chunk, (seed,)))
            whole = np.tile(np.array(IDENTITY_TRANSFORM, np.float32), (CHUNK, 1))
            scenes = Scenes(rows, counts, whole, light, device)
            tensors = [torch.from_numpy(each).to(device) for each in (radius, yaw, elevation)]
            object_to_world, good = normalize_scene(scenes.distance, *tensors)
            if not good.all():  # an empty scene (a cut that took everything) is replaced by its neighbor
                keep = torch.where(good, torch.arange(CHUNK, device=device), good.int().argmax())
                scenes, object_to_world, tensors[2] = scenes[keep], object_to_world[keep], tensors[2][keep]
            scenes.object_to_world = object_to_world.contiguous()
            yield scenes, tensors[2]


def cameras(elevations: torch.Tensor, azimuths: torch.Tensor) -> torch.Tensor:
    """Angles (...,) in degrees -> (..., 4, 4) on the same device."""
    return torch.from_numpy(camera_to_world(90 - elevations.cpu().numpy(), azimuths.cpu().numpy())).to(
        elevations.device
    )


def render(scenes: Scenes, elevations: torch.Tensor, azimuths: torch.Tensor, size: int) -> torch.Tensor:
    """Every scene from its own V cameras, angles (B, V) -> (B, V, size, size, 4) uint8."""
    batch, number = elevations.shape
    owner = torch.arange(batch, device=elevations.device).repeat_interleave(number)
    pictures = scenes.render(cameras(elevations, azimuths).reshape(-1, 4, 4), owner, size)
    return pictures.view(batch, number, size, size, 4)


def as_input(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (B, S, S, 3) -> (B, 3, S, S) float32 in -1..1."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1

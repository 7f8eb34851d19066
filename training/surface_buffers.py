"""The scenes of the surface network's training in GPU memory: some with the usual number of views, some with more."""

from __future__ import annotations

import torch

from training.config import SurfaceConfig
from training.scene_buffer import SceneBuffer
from training.surface_scenes import SurfaceScenes

PER_VIEW = "images", "cameras", "depths"
"""Tensors with views as their second dimension."""
MEAN_DECAY = 0.98


class SurfaceBuffers:
    """Samples batches and replaces scenes as often as the configuration says.

    Scenes that the network answers badly are sampled more often. Scenes with generated views are always answered worse
    and compete among themselves, or they would displace the others.
    """

    def __init__(self, config: SurfaceConfig, scenes: SurfaceScenes, world_size: int):
        self._config, self._scenes = config, scenes
        chunk, share = config.scenes_per_chunk, config.many_views_share
        self._usual = SceneBuffer(_whole_chunks(config.buffer_scenes * (1 - share) / world_size, chunk))
        self._many = SceneBuffer(_whole_chunks(config.buffer_scenes * share / world_size, chunk))
        _fill(self._usual, config.initial_scenes * (1 - share) / world_size, scenes.next_chunk)
        if share > 0:
            _fill(self._many, config.initial_scenes * share / world_size, scenes.next_chunk_of_many_views)
        self._mean_errors = None
        self._sampled, self._is_generated = self._usual, torch.empty(0)
        self._many_due = 0.0
        self._consumed = {self._usual: 0, self._many: 0}

    def __len__(self) -> int:
        return len(self._usual) + len(self._many)

    def sample_batch(self, count: int) -> dict[str, torch.Tensor]:
        """``count`` scenes of the usual number of views or, in ``many_views_share`` of the calls, of more."""
        self._many_due += self._config.many_views_share
        is_many = self._many_due >= 1
        self._many_due -= is_many
        self._sampled = self._many if is_many else self._usual
        self._consumed[self._sampled] += count
        batch = self._sampled.sample_batch(count)
        self._is_generated = batch["is_generated"].long()
        if is_many:
            numbers = self._config.many_views
            number = numbers[int(torch.randint(len(numbers), ()))]
            device = batch["images"].device
            others = torch.randperm(max(numbers) - 1, device=device)[: number - 1] + 1
            views = torch.cat([torch.zeros_like(others[:1]), others])
            batch |= {name: batch[name][:, views] for name in PER_VIEW}
        return batch

    def update_priorities(self, errors: torch.Tensor) -> None:
        """Errors (count,) of the scenes sampled last."""
        kinds = torch.nn.functional.one_hot(self._is_generated, 2).float()
        means = (errors @ kinds) / kinds.sum(0).clamp_min(1)
        if self._mean_errors is None:
            self._mean_errors = torch.where(kinds.sum(0) > 0, means, errors.mean())
        known = torch.where(kinds.sum(0) > 0, means, self._mean_errors)
        self._mean_errors = torch.lerp(known, self._mean_errors, MEAN_DECAY)
        self._sampled.update_priorities(errors / self._mean_errors[self._is_generated].clamp_min(1e-6))

    def renew(self) -> None:
        """Replace the oldest scenes where those in memory were sampled often enough."""
        limit = self._config.scenes_per_chunk * self._config.scene_reuse
        for buffer, next_chunk in (
            (self._usual, self._scenes.next_chunk),
            (self._many, self._scenes.next_chunk_of_many_views),
        ):
            if self._consumed[buffer] >= limit:
                self._consumed[buffer] -= int(limit)
                buffer.insert(next_chunk())


def _whole_chunks(scenes: float, chunk: int) -> int:
    return max(1, int(scenes) // chunk) * chunk


def _fill(buffer: SceneBuffer, scenes: float, next_chunk) -> None:
    while len(buffer) < min(max(1, scenes), buffer.capacity):
        buffer.insert(next_chunk())

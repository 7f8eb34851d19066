"""Training scenes in GPU memory: rendered while training goes on, sampled many times, then replaced."""

from __future__ import annotations

import torch


class SceneBuffer:
    """A ring buffer of named tensors, all with scenes as their first dimension.

    Grows with every ``insert`` up to ``capacity`` scenes; then the oldest are replaced.
    """

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.size = 0
        self._next = 0
        self._tensors: dict[str, torch.Tensor] = {}
        self._priorities = torch.empty(0)
        self._sampled = torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return self.size

    def insert(self, scenes: dict[str, torch.Tensor]) -> None:
        """Add scenes: tensors (N, ...) on one device, the same names and shapes each time; ``capacity`` must be a
        multiple of N."""
        count = len(next(iter(scenes.values())))
        if not self._tensors:
            if self.capacity % count:
                raise ValueError(f"{self.capacity} scenes cannot be filled {count} at a time")
            for name, tensor in scenes.items():
                self._tensors[name] = tensor.new_empty(self.capacity, *tensor.shape[1:])
            self._priorities = torch.ones(self.capacity, device=tensor.device)
        rows = slice(self._next, self._next + count)
        for name, tensor in scenes.items():
            self._tensors[name][rows] = tensor
        if self.size:
            self._priorities[rows] = self._priorities[: self.size].mean()
        self.size = max(self.size, rows.stop)
        self._next = rows.stop % self.capacity

    def sample_batch(self, count: int) -> dict[str, torch.Tensor]:
        """``count`` scenes with replacement, in proportion to their priorities (equal until updated)."""
        self._sampled = torch.multinomial(self._priorities[: self.size], count, replacement=True)
        return {name: tensor[self._sampled] for name, tensor in self._tensors.items()}

    def update_priorities(self, errors: torch.Tensor) -> None:
        """Errors (count,) of the scenes sampled last: how often they are sampled from now on."""
        self._priorities[self._sampled] = errors

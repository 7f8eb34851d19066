"""The plan of views around an object: which one is sampled from which, and where its camera stands.

One-2-3-45 (arXiv 2306.16928, section 3.2): stage 1 looks from eight places in two rings, always from the picture;
stage 2 adds four near neighbors to each of them, from its own stage-1 view.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from .. import camera
from ..options import Preset
from ..preprocessing.foreground import composite_on_white, resize_alpha
from ..progress import OnProgress
from ..types import Cutout, Elevation, Views
from .zero123.masks import masks_from_white_background
from .zero123.model import Zero123
from .zero123.sampler import sample


class ViewPlan:
    """Views as they are made; each stands at a change of (polar, azimuth) degrees from the picture's camera."""

    def __init__(
        self, model: Zero123, cutout: Cutout, quality: Preset, seed: int, on_progress: OnProgress, polar: float = 90.0
    ):
        """``polar`` (degrees) of the picture's camera matters for a model with ``uses_source_elevation`` alone.

        ``on_progress`` is called after every sampler step.
        """
        self._model = model
        self._quality = quality
        self._seed = seed
        self._on_progress = on_progress
        self._polar = polar
        self._mask = resize_alpha(cutout, model.image_size)
        self._images = {"input": composite_on_white(cutout, model.image_size)}
        self._moves = {"input": (0.0, 0.0)}
        self._done = 0
        # Where the elevation is given or predicted, eight views need no neighbors and the last of this is skipped.
        neighbors = 4 if quality.views == 8 else 32
        self._total = 8 * quality.steps + neighbors * self._neighbor_steps

    def add_ring(self, ring: Sequence[tuple[str, float, float]]) -> None:
        """Stage 1: the four views of one of ``camera``'s rings, all from the picture."""
        self._sample([("input", name, (polar, azimuth)) for name, polar, azimuth in ring], self._quality.steps)

    def add_neighbors(self, names: Sequence[str]) -> np.ndarray:
        """Stage 2: the four neighbors of each of these stage-1 views, from that view, where they are not there yet.

        The neighbors of all of them, (4 * len(names), H, W, 3).
        """
        plan = [(name, f"{name}_{index}", move) for name in names for index, move in enumerate(camera.NEIGHBORS)]
        missing = [each for each in plan if each[1] not in self._images]
        if missing:
            self._sample(missing, self._neighbor_steps)
        return np.stack([self._images[name] for _, name, _ in plan])

    def image(self, name: str) -> np.ndarray:
        """One view (H, W, 3)."""
        return self._images[name]

    def posed(self, elevation: Elevation, views: int) -> Views:
        """The picture and the stage-1 views (``views`` 8) or all (40), with cameras for a picture seen from there."""
        neighbors = [f"{name}_{index}" for name in self.stage_1 for index in range(len(camera.NEIGHBORS))]
        names = ("input", *self.stage_1, *(neighbors if views == 40 else ()))
        moves = np.array([self._moves[name] for name in names])
        images = np.stack([self._images[name] for name in names])
        masks = np.concatenate([self._mask[None], masks_from_white_background(images[1:])])
        poses = camera.camera_to_world(90 - elevation.degrees + moves[:, 0], moves[:, 1])
        return Views(images, masks, poses, names)

    @property
    def stage_1(self) -> tuple[str, ...]:
        """Names of the stage-1 views made so far."""
        return tuple(name for name in self._images if name.isdigit())

    @property
    def _neighbor_steps(self) -> int:
        return max(1, round(self._quality.steps * 2 / 3))

    def _source(self, name: str) -> np.ndarray:
        """A picture to sample from; in one that was sampled itself, what is nearly white is white, as in the original
        between its stages."""
        image = self._images[name]
        return image if name == "input" else np.where(image * 255 > 252.5, np.float32(1), image)

    def _sample(self, plan: list[tuple[str, str, tuple[float, float]]], steps: int) -> None:
        """Make views: (source, name, move from the source) each."""
        sources = list(dict.fromkeys(source for source, _, _ in plan))
        before, work = self._done, steps * len(plan)

        def advance(fraction: float) -> None:
            self._on_progress((before + work * fraction) / self._total)

        made = sample(
            self._model,
            np.stack([self._source(name) for name in sources]),
            self._model.pose(
                np.array([move for _, _, move in plan]),
                np.array([self._polar + self._moves[source][0] for source, _, _ in plan]),
            ),
            steps,
            self._quality.guidance,
            # One seed per name: neither the order nor the number of views changes a view.
            [zlib.crc32(f"{self._seed} {name}".encode()) for _, name, _ in plan],
            advance,
            [sources.index(source) for source, _, _ in plan],
            eta=1.0 if self._quality.faithful else None,
        )
        self._done = before + work
        for (source, name, move), image in zip(plan, made, strict=True):
            # The original keeps its views as 8-bit files; what that cuts off is only lost.
            self._images[name] = np.floor(image * 255) / np.float32(255) if self._quality.faithful else image
            self._moves[name] = tuple(np.add(self._moves[source], move))

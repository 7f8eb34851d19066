"""The plan of views around an object: which one is sampled from which, and where its camera stands.

One-2-3-45 (arXiv 2306.16928, section 3.2): stage 1 looks from eight places in two rings, always from the picture;
stage 2 adds four near neighbours to each of them, from its own stage-1 view.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from . import camera
from .data import Cutout, Elevation, Views
from .foreground import resize, resize_mask
from .options import Preset
from .zero123.model import Zero123
from .zero123.sampler import sample

OnStep = Callable[[float], None]
"""Called after every sampler step with the share of the whole plan that is done; may raise to cancel."""


class ViewPlan:
    """Views as they are made; each stands at a change of (polar, azimuth) degrees from the picture's camera."""

    def __init__(self, model: Zero123, cutout: Cutout, quality: Preset, seed: int, on_step: OnStep):
        self._model = model
        self._quality = quality
        self._seed = seed
        self._on_step = on_step
        self._mask = resize_mask(cutout, model.image_size)
        self._images = {"input": resize(cutout, model.image_size)}
        self._moves = {"input": (0.0, 0.0)}
        self._done = 0
        # The picture's own height is known (given) or measured from the neighbours of view 0: those come always.
        neighbours = 4 if quality.views == 8 else 32
        self._total = 8 * quality.steps + neighbours * self._neighbour_steps

    def add_ring(self, ring: Sequence[tuple[str, float, float]]) -> None:
        """Stage 1: the four views of one of ``camera``'s rings, all from the picture."""
        self._sample([("input", name, (polar, azimuth)) for name, polar, azimuth in ring], self._quality.steps)

    def add_neighbours(self, names: Sequence[str]) -> None:
        """Stage 2: the four neighbours of each of these stage-1 views, from that view."""
        plan = [(name, f"{name}_{index}", move) for name in names for index, move in enumerate(camera.NEIGHBOURS)]
        self._sample(plan, self._neighbour_steps)

    def posed(self, elevation: Elevation, names: Sequence[str] | None = None) -> Views:
        """The views made so far (or those named), with cameras for a picture seen from ``elevation``."""
        names = tuple(names or self._images)
        moves = np.array([self._moves[name] for name in names])
        images = np.stack([self._images[name] for name in names])
        masks = np.stack([self._mask if name == "input" else _mask(self._images[name]) for name in names])
        poses = camera.camera_to_world(90 - elevation.degrees + moves[:, 0], moves[:, 1])
        return Views(images, masks, poses, names)

    @property
    def stage_1(self) -> tuple[str, ...]:
        """Names of the stage-1 views made so far."""
        return tuple(name for name in self._images if name.isdigit())

    @property
    def _neighbour_steps(self) -> int:
        return max(1, round(self._quality.steps * 2 / 3))

    def _sample(self, plan: list[tuple[str, str, tuple[float, float]]], steps: int) -> None:
        """Make views: (source, name, move from the source) each."""
        sources = list(dict.fromkeys(source for source, _, _ in plan))
        before, work = self._done, steps * len(plan)

        def advance(done: int, total: int) -> None:
            self._on_step((before + work * done / total) / self._total)

        made = sample(
            self._model,
            np.stack([_clean(self._images[source]) for source in sources]),
            camera.relative_pose(*np.array([move for _, _, move in plan]).T),
            steps,
            self._quality.guidance,
            # One seed per name: neither the order nor the number of views changes a view.
            [zlib.crc32(f"{self._seed} {name}".encode()) for _, name, _ in plan],
            advance,
            [sources.index(source) for source, _, _ in plan],
        )
        self._done = before + work
        for (source, name, move), image in zip(plan, made, strict=True):
            self._images[name] = np.floor(image * 255).astype(np.float32) / 255
            self._moves[name] = tuple(np.add(self._moves[source], move))


def _clean(image: np.ndarray) -> np.ndarray:
    """A view as a source: what is nearly white is white, as in the original between its stages."""
    return np.where(image * 255 > 252.5, np.float32(1), image)


def _mask(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) on white -> (H, W) float32, 1 where something stands before the white."""
    return (image.min(-1) * 255 < 252.5).astype(np.float32)

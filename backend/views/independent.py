"""Views sampled independently of each other, as public Zero123 weights do it.

One-2-3-45 (arXiv 2306.16928, section 3.2): stage 1 samples two rings of four views each from the input image; stage 2
adds four near neighbors to each of them, sampled from that stage-1 view.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from .. import camera
from ..config import ReconstructionConfig, Scheduler
from ..data_types import Cutout, Elevation, ElevationEstimator, GivenView, OnViews, SampledViews, ViewChanges, Views
from ..errors import ErrorCode, UserError
from ..preprocessing.canvas import resize_on_white
from ..progress import OnProgress, ignore_progress
from .combine import join_views, select_views
from .given import align, change_given_views, given_views
from .zero123.batches import BATCH_SIZE, Batches
from .zero123.masks import masks_from_white_background
from .zero123.model import Zero123
from .zero123.sampler import sample


class IndependentViewModel:
    """The ``ViewModel`` around a ``Zero123`` that samples each view on its own."""

    is_joint = False

    def __init__(self, model: Zero123):
        self.model = model

    def sample_views(
        self,
        cutout: Cutout,
        given: Sequence[GivenView],
        estimate_elevation: ElevationEstimator,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress = ignore_progress,
        on_views: OnViews | None = None,
    ) -> SampledViews:
        """See ``ViewModel``. The elevation is known after the first ring and decides where the second one lies.

        Given views are seen by the surface network only: these weights sample every view from one image.
        """
        if self.model.uses_source_elevation and config.elevation is None:
            raise UserError(
                ErrorCode.NEEDS_ELEVATION,
                "These weights (Stable Zero123) cannot estimate the camera's elevation: set it; 0 is level.",
            )
        sampler = ViewSampler(self.model, cutout, config, callback_on_step_end, on_views=on_views)
        sampler.add_ring(camera.FIRST_RING)
        elevation = estimate_elevation(
            lambda: self.model.predict_elevation(sampler.image("input")), lambda: sampler.add_neighbors(["0"])
        )
        sampler.add_ring(camera.second_ring(90 - elevation.degrees))
        if config.num_views == 40:
            sampler.add_neighbors(sampler.stage_1)
        size = self.model.image_size
        views = sampler.to_views(elevation.degrees)
        aligned = [align(view, cutout, size, elevation.degrees, views) for view in given]
        joined = _with_given(views, given_views(given, aligned, size))
        return SampledViews(joined, elevation, ran_out_of_memory=sampler.ran_out_of_memory)

    def resample_views(
        self,
        views: Views,
        changes: ViewChanges,
        cutout: Cutout,
        earlier_elevation: float,
        elevation: Elevation,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress = ignore_progress,
        on_views: OnViews | None = None,
    ) -> SampledViews:
        """See ``ViewModel``. The neighbors of a view go with it: they are dropped or sampled anew."""
        sampler = ViewSampler(self.model, cutout, config, callback_on_step_end, changes.seeds, on_views)
        rings = [camera.FIRST_RING, camera.second_ring(90 - elevation.degrees)]
        offsets = {name: (polar, azimuth) for ring in rings for name, polar, azimuth in ring}
        earlier = {name for ring in (rings[0], camera.second_ring(90 - earlier_elevation)) for name, *_ in ring}
        dropped = changes.dropped | (earlier - set(views.names))  # now, and before
        for index, name in enumerate(views.names):
            source, _, neighbor = name.partition("_")
            if source in offsets and source not in changes.seeds:
                step = camera.NEIGHBORS[int(neighbor)] if neighbor else (0.0, 0.0)
                sampler.keep(name, views.images[index], tuple(np.add(offsets[source], step)))
        for ring in rings:
            sampler.add_ring([entry for entry in ring if entry[0] not in dropped])
        if config.num_views == 40:
            sampler.add_neighbors([name for name in sampler.stage_1 if name not in dropped])
        generated = sampler.to_views(elevation.degrees)
        names = [name for name in generated.names[1:] if name.partition("_")[0] not in dropped]
        names.sort(key=lambda name: ("_" in name, [int(part) for part in name.split("_")]))
        earlier_given = select_views(views, [name for name in views.names[1:] if name not in camera.GENERATED_VIEWS])
        size = self.model.image_size
        given = join_views(change_given_views(earlier_given, changes, cutout, size, elevation.degrees, views))
        joined = _with_given(select_views(generated, ["input", *names]), given)
        return SampledViews(joined, elevation, ran_out_of_memory=sampler.ran_out_of_memory)


def _with_given(views: Views, given: Views) -> Views:
    """The input, the given views, the generated ones."""
    if not given.names:
        return views  # without the time and memory of a copy
    return join_views([select_views(views, views.names[:1]), given, select_views(views, views.names[1:])])


class ViewSampler:
    """Samples the views of one object, ring by ring. Each is named, and has a camera offset: its (polar, azimuth) in
    degrees relative to the input camera."""

    def __init__(
        self,
        model: Zero123,
        cutout: Cutout,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress = ignore_progress,
        seeds: Mapping[str, int] = MappingProxyType({}),
        on_views: OnViews | None = None,
    ):
        """``callback_on_step_end`` is called after every sampler step with the fraction of all steps that is done.
        ``seeds``: those of views, by name, that are not the configuration's."""
        self._model = model
        self._config = config
        self._callback_on_step_end = callback_on_step_end
        self._seeds = seeds
        self._on_views = on_views
        self._polar = 90 - (config.elevation or 0.0)
        """Of the input camera, in degrees; matters for a model with ``uses_source_elevation``, which needs it given."""
        image, self._mask = resize_on_white(cutout, model.image_size)
        self._images = {"input": image}
        self._camera_offsets = {"input": (0.0, 0.0)}
        self._batches = Batches(BATCH_SIZE // 2 if model.low_memory else BATCH_SIZE)
        self._steps_done = 0
        # Where the elevation is given or predicted, eight views need no neighbors and the last of this is skipped.
        neighbors = 4 if config.num_views == 8 else 32
        self._total_steps = 8 * config.num_inference_steps + neighbors * self._neighbor_steps

    def keep(self, name: str, image: np.ndarray, camera_offset: tuple[float, float]) -> None:
        """Take a view (H, W, 3) of an earlier job, instead of sampling it."""
        self._images[name], self._camera_offsets[name] = image, camera_offset

    def add_ring(self, ring: Sequence[tuple[str, float, float]]) -> None:
        """Stage 1: the four views of one of ``camera``'s rings, all from the input image, unless they exist already."""
        requests = [("input", name, (polar, azimuth)) for name, polar, azimuth in ring if name not in self._images]
        if requests:
            self._sample(requests, self._config.num_inference_steps)

    def add_neighbors(self, names: Sequence[str]) -> np.ndarray:
        """Stage 2: the four neighbors of each named stage-1 view, sampled from that view unless they exist already.

        Returns the neighbors of all of them, (4 * len(names), H, W, 3).
        """
        requests = [
            (name, f"{name}_{index}", offset) for name in names for index, offset in enumerate(camera.NEIGHBORS)
        ]
        missing = [request for request in requests if request[1] not in self._images]
        if missing:
            self._sample(missing, self._neighbor_steps)
        return np.stack([self._images[name] for _, name, _ in requests])

    def image(self, name: str) -> np.ndarray:
        """One view (H, W, 3) float32 0..1."""
        return self._images[name]

    def to_views(self, elevation: float) -> Views:
        """The input image and the stage-1 views (``num_views`` 8) or all (40), with their masks and cameras.
        ``elevation`` is the input camera's in degrees."""
        names = ("input", *self.stage_1, *(self._neighbors() if self._config.num_views == 40 else ()))
        offsets = np.array([self._camera_offsets[name] for name in names])
        images = np.stack([self._images[name] for name in names])
        masks = np.concatenate([self._mask[None], masks_from_white_background(images[1:])])
        poses = camera.camera_to_world(90 - elevation + offsets[:, 0], offsets[:, 1])
        return Views(images, masks, poses, names)

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether fewer views than usual were sampled at once, because the GPU's memory did not suffice for them."""
        return self._batches.ran_out_of_memory

    @property
    def stage_1(self) -> tuple[str, ...]:
        """Names of the stage-1 views sampled so far."""
        return tuple(name for name in self._images if name.isdigit())

    def _neighbors(self) -> list[str]:
        """Names of the stage-2 views sampled so far, in the order of those they were sampled from."""
        names = [f"{name}_{index}" for name in self.stage_1 for index in range(len(camera.NEIGHBORS))]
        return [name for name in names if name in self._images]

    @property
    def _neighbor_steps(self) -> int:
        return max(1, round(self._config.num_inference_steps * 2 / 3))

    def _source_image(self, name: str) -> np.ndarray:
        """An image to sample from. In one that was sampled itself, nearly white pixels become white, as the reference
        does between its stages."""
        image = self._images[name]
        return image if name == "input" else np.where(image * 255 > 252.5, np.float32(1), image)

    def _sample(self, requests: list[tuple[str, str, tuple[float, float]]], steps: int) -> None:
        """Sample views: (source, name, camera offset from the source) each."""
        sources = list(dict.fromkeys(source for source, _, _ in requests))
        steps_before, steps_here = self._steps_done, steps * len(requests)

        def on_step_end(fraction: float) -> None:
            self._callback_on_step_end((steps_before + steps_here * fraction) / self._total_steps)

        images = sample(
            self._model,
            np.stack([self._source_image(name) for name in sources]),
            self._model.pose(
                np.array([offset for _, _, offset in requests]),
                np.array([self._polar + self._camera_offsets[source][0] for source, _, _ in requests]),
            ),
            num_inference_steps=steps,
            guidance_scale=self._config.guidance_scale,
            generator=[self._generator(name) for _, name, _ in requests],
            source_of=[sources.index(source) for source, _, _ in requests],
            eta=1.0 if self._config.scheduler is Scheduler.DDIM else None,
            callback_on_step_end=on_step_end,
            batches=self._batches,
        )
        self._steps_done = steps_before + steps_here
        for (source, name, offset), image in zip(requests, images, strict=True):
            # The reference stores its views as 8-bit files; what that cuts off is only lost.
            quantize = self._config.quantize_views
            self._images[name] = np.floor(image * 255) / np.float32(255) if quantize else image
            self._camera_offsets[name] = tuple(np.add(self._camera_offsets[source], offset))
        if self._on_views is not None:
            names = ["input", *self.stage_1, *(self._neighbors() if self._config.num_views == 40 else ())]
            missing = [np.ones_like(self._images["input"])] * (1 + self._config.num_views - len(names))
            self._on_views([*(self._images[name] for name in names), *missing])

    def _generator(self, name: str) -> torch.Generator:
        """One per view, seeded by its name: neither the order nor the number of views changes a view."""
        seed = self._seeds.get(name.partition("_")[0], self._config.seed)
        return torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))

"""All views of an object sampled together, so that they agree with each other: the starter weights' kind."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from .. import camera
from ..config import ReconstructionConfig
from ..data_types import Cutout, Elevation, ElevationEstimator, GivenView, OnViews, SampledViews, ViewChanges, Views
from ..errors import ErrorCode, UserError
from ..progress import OnProgress, ignore_progress
from .combine import input_view, join_views, mirror_views, move_views, select_views
from .given import NEAR, align, change_given_views, given_views, view_angles
from .zero123.joint_sampler import sample_jointly
from .zero123.masks import masks_of_decoded
from .zero123.model import Zero123

PlannedView = tuple[str, float, float]
"""The name of a view that is to be generated, and its elevation and azimuth in degrees."""
MOST_GIVEN = 3
"""Given views besides the input image that the weights were trained with."""


class JointViewModel:
    """The ``ViewModel`` around a ``Zero123`` that samples all views in the same UNet calls."""

    is_joint = True

    def __init__(self, model: Zero123, guidance_scale: float, view_plan: str):
        """``guidance_scale``: of classifier-free guidance where a job does not say; 1 where the weights learned it.
        ``view_plan``: that of ``camera.JOINT_PLANS`` that the weights were trained for."""
        self.model, self.guidance_scale, self._view_plan = model, guidance_scale, view_plan

    def plan(self, elevation: float) -> tuple[PlannedView, ...]:
        """The views that are generated of an input image from ``elevation`` degrees."""
        return camera.joint_plan(elevation, self._view_plan)

    def sample_views(
        self,
        cutout: Cutout,
        given: Sequence[GivenView],
        estimate_elevation: ElevationEstimator,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress = ignore_progress,
        on_views: OnViews | None = None,
    ) -> SampledViews:
        """See ``ViewModel``. The plan of views depends on the elevation, which is predicted from the input image.

        The plan is sampled from the mirror images too, and all that as often as ``config`` says: what the model invents
        differs each time, its errors with it (docs/adr/041-mirrored-views.md).
        """
        if config.quantize_views:
            raise UserError(
                ErrorCode.BAD_OPTION,
                "Reference mode computes what One-2-3-45 computes, one view at a time, but these weights generate all "
                "views together: choose other weights, or turn reference mode off.",
            )
        _check_count(len(given))
        size = self.model.image_size
        level = input_view(cutout, size, 0.0)
        elevation = estimate_elevation(lambda: self.model.predict_elevation(level.images[0]), _no_neighbors)
        clean = move_views(level, [(elevation.degrees, 0.0)])
        plan = self.plan(elevation.degrees)
        passes = 2 * config.joint_num_samples + bool(given)

        def on_step_end_of(number: int) -> OnProgress:
            return lambda done: callback_on_step_end((number + done) / passes)

        if given:
            # Views generated from the input alone tell where the object lies in the given ones.
            planned = [(view.name, *view_angles(view, elevation.degrees)) for view in given]
            planned += _not_near(plan, [entry[1:] for entry in planned])
            generated = self._sample(
                clean,
                planned,
                config,
                on_step_end_of(0),
                on_denoised=_after(clean.images, on_views),
            )
            aligned = [align(view, cutout, size, elevation.degrees, generated) for view in given]
            clean = join_views([clean, given_views(given, aligned, size)])
        show, reflected, sets = _after(clean.images, on_views), mirror_views(clean), []
        for sample in range(config.joint_num_samples):
            for images in (clean, reflected):
                sampled = self._sample(
                    images,
                    _not_near(plan, _angles(images)),
                    config,
                    on_step_end_of(bool(given) + len(sets)),
                    on_denoised=None if sets else show,
                    sample=sample,
                )
                sets.append(join_views([clean, mirror_views(sampled) if images is reflected else sampled]))
        return SampledViews(sets[0], elevation, tuple(sets[1:]))

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
        """See ``ViewModel``. What is sampled sees the given views and, up to ``MOST_GIVEN`` in all, the nearest kept
        ones."""
        size, height = self.model.image_size, elevation.degrees
        earlier_plan = self.plan(earlier_elevation)
        earlier_given = select_views(views, [name for name in views.names[1:] if name not in camera.GENERATED_VIEWS])
        kept_given, new_given = change_given_views(earlier_given, changes, cutout, size, height, views)
        clean = join_views([input_view(cutout, size, height), kept_given, new_given])
        _check_count(len(clean.names) - 1)
        # A planned view that is missing, without a given one in its place, was dropped earlier.
        missing = [entry for entry in earlier_plan if entry[0] not in views.names]
        dropped = changes.dropped | {name for name, *_ in _not_near(missing, _angles(earlier_given))}
        planned = [entry for entry in self.plan(height) if entry[0] not in dropped]
        planned = _not_near(planned, _angles(clean))
        heights = {name: degrees - earlier_elevation for name, degrees, _ in earlier_plan if name in views.names}
        kept = [
            entry
            for entry in planned
            if entry[0] not in changes.seeds and math.isclose(heights.get(entry[0], math.inf), entry[1] - height)
        ]
        generated = move_views(select_views(views, [name for name, *_ in kept]), [entry[1:] for entry in kept])
        sampled = [entry for entry in planned if entry not in kept]
        if sampled:
            near = _nearest(kept, sampled)[: MOST_GIVEN - (len(clean.names) - 1)]
            conditions = join_views([clean, select_views(generated, [name for name, *_ in near])])
            show = _after([*clean.images, *generated.images], on_views)
            new = self._sample(conditions, sampled, config, callback_on_step_end, changes.seeds, show)
            generated = join_views([generated, new])
        joined = join_views([clean, select_views(generated, [name for name, *_ in planned])])
        return SampledViews(joined, elevation)

    def _sample(
        self,
        clean: Views,
        planned: Sequence[PlannedView],
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress,
        seeds: Mapping[str, int] = MappingProxyType({}),
        on_denoised: Callable[[torch.Tensor], None] | None = None,
        sample: int = 0,
    ) -> Views:
        """The planned views, which see the ``clean`` ones, the input first; ``seeds``: those that differ from the
        job's, by name. Each number of a ``sample`` has noise of its own."""
        cameras = [*_angles(clean), *(entry[1:] for entry in planned)]
        sampled = sample_jointly(
            self.model,
            (torch.from_numpy(clean.images).to(self.model.device).permute(0, 3, 1, 2) * 2 - 1).contiguous()[None],
            torch.tensor(cameras, dtype=torch.float32, device=self.model.device)[None],
            torch.stack([self._noise(seeds.get(name, config.seed), name, sample) for name, *_ in planned])[None].to(
                self.model.device
            ),
            config.joint_num_inference_steps,
            self.guidance_scale if config.joint_guidance_scale is None else config.joint_guidance_scale,
            callback_on_step_end,
            on_denoised=on_denoised,
        )
        decoded = sampled[0].permute(0, 2, 3, 1).contiguous().cpu().numpy()
        elevations, azimuths = np.transpose([entry[1:] for entry in planned])
        return Views(
            decoded[..., :3],
            masks_of_decoded(decoded),
            camera.camera_to_world(90 - elevations, azimuths),
            tuple(name for name, *_ in planned),
        )

    def _noise(self, seed: int, name: str, sample: int) -> torch.Tensor:
        """A view's own, from the CPU: neither the device nor the other views change it."""
        text = f"{seed} {name}" if sample == 0 else f"{seed} {name} {sample}"
        generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
        latent_size = self.model.latent_size
        return torch.randn(self.model.latent_channels, latent_size, latent_size, generator=generator)


def _check_count(given: int) -> None:
    if given > MOST_GIVEN:
        raise UserError(ErrorCode.BAD_OPTION, f"At most {MOST_GIVEN} more views can be given, but there are {given}.")


def _after(images: Iterable[np.ndarray], on_views: OnViews | None) -> Callable[[torch.Tensor], None] | None:
    """Shows ``images`` and then those that are being sampled, where somebody watches."""
    return None if on_views is None else lambda denoised: on_views([*images, *denoised.numpy()])


def _angles(views: Views) -> list[tuple[float, float]]:
    return [camera.direction_angles(pose) for pose in views.camera_to_world]


def _not_near(planned: Sequence[PlannedView], angles: Sequence[tuple[float, float]]) -> list[PlannedView]:
    """The planned views that none of the others (elevation, azimuth) is within ``NEAR`` degrees of."""
    others = [(degrees, azimuth) for degrees, azimuth in angles]
    cosines = _directions([entry[1:] for entry in planned]) @ _directions(others).T
    is_near = (cosines > np.cos(np.radians(NEAR))).any(1)
    return [entry for entry, near in zip(planned, is_near, strict=True) if not near]


def _nearest(candidates: Sequence[PlannedView], targets: Sequence[PlannedView]) -> list[PlannedView]:
    """The candidates, those first that are nearest to any of the targets."""
    cosines = _directions([entry[1:] for entry in candidates]) @ _directions([entry[1:] for entry in targets]).T
    order = np.argsort(-cosines.max(1), kind="stable") if len(candidates) else []
    return [candidates[index] for index in order]


def _directions(angles: Sequence[Sequence[float]]) -> np.ndarray:
    """(N, 3) from the object to cameras at (elevation, azimuth) each."""
    elevations, azimuths = np.array(angles, np.float64).reshape(-1, 2).T
    return camera.camera_to_world(90 - elevations, azimuths)[:, :3, 2]


def _no_neighbors() -> np.ndarray:
    raise UserError(
        ErrorCode.NEEDS_ELEVATION, "These weights cannot estimate the camera's elevation: set it; 0 is level."
    )

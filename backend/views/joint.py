"""All views of an object sampled together, so that they agree with each other: the starter weights' kind."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch

from .. import camera
from ..config import ReconstructionConfig
from ..data_types import Cutout, Elevation, ElevationEstimator, GivenView, Views
from ..errors import ErrorCode, UserError
from ..preprocessing.canvas import composite_on_white, resize_alpha
from ..progress import OnProgress, ignore_progress
from .given import align_with_input, insert_after_input
from .zero123.joint_sampler import sample_jointly
from .zero123.masks import masks_of_decoded
from .zero123.model import Zero123

MOST_GIVEN = 3
"""Given views besides the input image that the weights were trained with."""
REPLACED_WITHIN = 20.0
"""A given view takes the place of a planned one whose camera is within this many degrees of its own."""


class JointViewModel:
    """The ``ViewModel`` around a ``Zero123`` that samples all views in the same UNet calls."""

    def __init__(self, model: Zero123, guidance_scale: float):
        """``guidance_scale``: of classifier-free guidance where a job does not say; 1 where the weights learned it."""
        self.model, self.guidance_scale = model, guidance_scale

    def sample_views(
        self,
        cutout: Cutout,
        given: Sequence[GivenView],
        estimate_elevation: ElevationEstimator,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress = ignore_progress,
    ) -> tuple[Views, Elevation]:
        """See ``ViewModel``. The plan of views depends on the elevation, which is predicted from the input image."""
        if config.quantize_views:
            raise UserError(
                ErrorCode.BAD_OPTION,
                "Reference mode computes what One-2-3-45 computes, one view at a time, but these weights generate all "
                "views together: choose other weights, or turn reference mode off.",
            )
        if len(given) > MOST_GIVEN:
            raise UserError(
                ErrorCode.BAD_OPTION, f"At most {MOST_GIVEN} more views can be given, but there are {len(given)}."
            )
        size = self.model.image_size
        image = composite_on_white(cutout, size)
        elevation = estimate_elevation(lambda: self.model.predict_elevation(image), _no_neighbors)
        aligned = [align_with_input(view, cutout, size, elevation.degrees) for view in given]
        cameras = [(elevation.degrees, 0.0), *(view.angles for view in aligned)]
        planned = [
            entry for entry in camera.joint_plan(elevation.degrees) if not _is_near(entry[1:], cameras, REPLACED_WITHIN)
        ]
        cameras += [(degrees, azimuth) for _, degrees, azimuth in planned]
        pictures = np.stack([image, *(view.image for view in aligned)])
        sampled = sample_jointly(
            self.model,
            (torch.from_numpy(pictures).to(self.model.device).permute(0, 3, 1, 2) * 2 - 1).contiguous()[None],
            torch.tensor(cameras, dtype=torch.float32, device=self.model.device)[None],
            torch.stack([self._noise(config.seed, name) for name, *_ in planned])[None].to(self.model.device),
            config.joint_num_inference_steps,
            self.guidance_scale if config.joint_guidance_scale is None else config.joint_guidance_scale,
            callback_on_step_end,
        )
        decoded = sampled[0].permute(0, 2, 3, 1).contiguous().cpu().numpy()
        elevations, azimuths = np.transpose([cameras[0], *(angles for _, *angles in planned)])
        views = Views(
            np.concatenate([image[None], decoded[..., :3]]),
            np.concatenate([resize_alpha(cutout, size)[None], masks_of_decoded(decoded)]),
            camera.camera_to_world(90 - elevations, azimuths),
            ("input", *(name for name, *_ in planned)),
        )
        return insert_after_input(views, given, aligned), elevation

    def _noise(self, seed: int, name: str) -> torch.Tensor:
        """A view's own, from the CPU: neither the device nor the other views change it."""
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
        latent_size = self.model.latent_size
        return torch.randn(self.model.latent_channels, latent_size, latent_size, generator=generator)


def _is_near(angles: Sequence[float], others: Sequence[Sequence[float]], limit: float) -> bool:
    """Whether the direction (elevation, azimuth) is within ``limit`` degrees of one of ``others``."""
    direction, directions = (
        camera.camera_to_world(90 - np.array(values)[..., 0], np.array(values)[..., 1])[..., :3, 2]
        for values in ([angles], others)
    )
    return bool((directions @ direction[0] > np.cos(np.radians(limit))).any())


def _no_neighbors() -> np.ndarray:
    raise UserError(
        ErrorCode.NEEDS_ELEVATION, "These weights cannot estimate the camera's elevation: set it; 0 is level."
    )

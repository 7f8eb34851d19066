"""One-2-3-45's network as a ``SurfaceModel``: chooses and orders the source views it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from ...camera import FIRST_RING, LOWER_RING, NEIGHBORS, UPPER_RING
from ...data_types import Views
from ...errors import ErrorCode, UserError
from .field import One2345Field
from .network import One2345
from .poses import IMAGE_SIZE

_RINGS = [[name for name, _, _ in ring] for ring in (FIRST_RING, LOWER_RING, UPPER_RING)]
LAYOUTS = tuple(
    tuple(f"{name}_{index}" for name in (*_RINGS[0], *second) for index in range(len(NEIGHBORS)))
    for second in _RINGS[1:]
)
"""The 32 source views in the order of the network's training, for either second ring."""


class One2345Model:
    """One-2-3-45's reconstruction network as a ``SurfaceModel``."""

    required_views = 40
    """The 8 of stage 1 and their 32 neighbors, which are the source views."""

    def __init__(self, network: One2345):
        self.network = network

    def reconstruct(
        self, views: Views, silhouette_constraint: bool = True, others: Sequence[Views] = ()
    ) -> One2345Field:
        """The field of the object in ``views`` (see ``SurfaceModel``), made from the 32 neighbors of its stage-1 views;
        the input image gives the reference camera only.

        silhouette_constraint, others: ignored, the reference has neither. Raises UserError ``too_few_views``.
        """
        pixels, cameras = select_source_views(views)
        images = torch.from_numpy(pixels).to(next(self.network.parameters()).device).permute(0, 3, 1, 2)
        if images.shape[-1] != IMAGE_SIZE:
            images = F.interpolate(images, (IMAGE_SIZE,) * 2, mode="bilinear", antialias=True).clamp(0, 1)
        return One2345Field.from_images(self.network, images.contiguous(), cameras)


def select_source_views(views: Views) -> tuple[np.ndarray, np.ndarray]:
    """The 32 source images (32, H, W, 3) in training order, and 33 cameras (33, 4, 4): the input image's first.

    Raises UserError ``too_few_views``.
    """
    index_of = {name: index for index, name in enumerate(views.names)}
    layout = next((names for names in LAYOUTS if all(name in index_of for name in ("input", *names))), None)
    if layout is None:
        raise UserError(
            ErrorCode.TOO_FEW_VIEWS,
            "These weights need all 40 generated views: set the quality to standard or high.",
        )
    sources = [index_of[name] for name in layout]
    return views.images[sources].astype(np.float32), views.camera_to_world[[index_of["input"], *sources]]

"""How a job learns the elevation of its input camera: given, predicted by the view model, or from matches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config import ElevationMethod, ReconstructionConfig
from ..data_types import Elevation
from . import epipolar, loftr, reference, sift
from .matches import Matches

if TYPE_CHECKING:
    from kornia.feature import LoFTR


class ElevationEstimation:
    """Estimates elevations; the matching network stays loaded from job to job."""

    def __init__(self):
        self._loftr: tuple[Path, LoFTR] | None = None

    def __call__(
        self,
        config: ReconstructionConfig,
        predict: Callable[[], tuple[float, float] | None],
        sample_neighbors: Callable[[], np.ndarray],
    ) -> Elevation:
        """An ``ElevationEstimator`` once ``config`` is given."""
        if config.elevation is not None:
            return Elevation(config.elevation, 1.0, "given")
        if config.elevation_method is ElevationMethod.REFERENCE:
            return reference.estimate_elevation(self._match(sample_neighbors(), config))
        # Small generated views match badly (docs/experiments.md): a model that predicts elevations needs no neighbors.
        predicted = predict()
        matches = self._match(sample_neighbors(), config) if predicted is None else None
        return epipolar.estimate_elevation(matches, predicted)

    def unload(self) -> None:
        """Free the matching network's memory."""
        self._loftr = None

    def _match(self, neighbors: np.ndarray, config: ReconstructionConfig) -> Matches:
        """Matches between neighboring views, by LoFTR where its weights are on disk, else by SIFT."""
        path = loftr.find_weights()
        if path is None:
            return sift.match_images(neighbors)
        if self._loftr is None or self._loftr[0] != path:
            self._loftr = path, loftr.load_network(path, config.device)
        return loftr.match_images(self._loftr[1], neighbors, config.elevation_method is ElevationMethod.REFERENCE)


def matcher_name() -> str:
    """What matches the views, for the report."""
    return "SIFT" if loftr.find_weights() is None else "LoFTR"

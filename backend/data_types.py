"""The data that stages pass to each other, and the protocols of the networks (conventions: docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .config import ReconstructionConfig
from .progress import OnProgress

OnViews = Callable[[Sequence[np.ndarray]], None]
"""Called, while views are sampled, with all of them as far as they are: (H, W, 3) float32 0..1 each, of any size."""

VISIBLE = 0.5
"""Coverage of a pixel from which on it belongs to the object."""


@dataclass(frozen=True)
class CutoutQuality:
    """How far the cutout of an image can be trusted."""

    share: float
    """Of the image that the object covers."""
    sides_cut: tuple[str, ...] = ()
    """Sides of the image that cut the object off: ``left``, ``right``, ``top``, ``bottom``."""
    parts: int = 1
    """Separate parts of similar size that were taken as one object."""
    uncertain: float = 0.0
    """Area that is neither clearly object nor clearly background, as a share of the object's."""
    agreement: float | None = None
    """Intersection over union with what GrabCut finds; None where it was not asked, as nothing was doubtful."""
    warnings: tuple[str, ...] = ()
    """What the user should look at, one sentence each."""


@dataclass(frozen=True)
class Cutout:
    """The object of the input image, alone and centered: its longer side fills 75 % of a square canvas."""

    image: np.ndarray
    """(S, S, 4) float32, straight alpha, at the input image's own resolution."""
    method: str
    """How the object was segmented: ``alpha``, ``mask``, ``grabcut`` or the name of a background-removal model."""
    canvas: tuple[float, float, float]
    """Left, top and side of the canvas in pixels of the input image."""
    quality: CutoutQuality | None = None
    """None for a cutout that was not made from an image just now."""


@dataclass(frozen=True)
class GivenView:
    """A further picture of the object, from another side."""

    name: str
    """``back``, ``left``, ... or any other that is no name of a generated view."""
    cutout: Cutout
    azimuth: float
    """Degrees around the object from the input camera's position: 90 is to its right, 180 behind the object."""
    elevation: float | None
    """Degrees of its camera above the object's horizon; None: as high as the input camera."""


@dataclass(frozen=True)
class Views:
    """Posed images of one object on white; index 0 is the input image itself."""

    images: np.ndarray
    """(N, H, W, 3) float32, composited on white."""
    masks: np.ndarray
    """(N, H, W) float32, 1 on the object."""
    camera_to_world: np.ndarray
    """(N, 4, 4) float32, OpenGL axes."""
    names: tuple[str, ...]
    """``input``, the names of given views, ``above``, ``0`` .. ``11`` (the rings) and ``0_0`` .. (their neighbors)."""


@dataclass(frozen=True)
class ViewChanges:
    """What is to be different in the views of an earlier job; those that it does not name are kept."""

    dropped: frozenset[str] = frozenset()
    """Names of views that are left out."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    """Names of generated views that are sampled anew, each with a seed of its own."""
    given: Sequence[GivenView] = ()
    """Pictures that are added, or take the place of a given view of the same name."""


@dataclass(frozen=True)
class Elevation:
    """The angle of the input camera above the object's horizon."""

    degrees: float
    confidence: float
    """0 (a guess) .. 1 (given by the user)."""
    source: str
    """``given``, ``matched``, ``predicted`` or ``default``."""


@dataclass(frozen=True)
class SampledViews:
    """What a view model made of one image."""

    views: Views
    """The input image, the given views and generated ones around the object."""
    elevation: Elevation
    """Of the input camera, as it was used for them."""
    others: tuple[Views, ...] = ()
    """The input image, the given views, and other views generated of the same object: other opinions on it, for the
    surface alone. From a model that has them; half of the sets are generated from mirror images and mirrored back."""
    ran_out_of_memory: bool = False
    """Whether fewer views than usual were sampled at once, because the GPU's memory did not suffice for them."""


class ElevationEstimator(Protocol):
    """How a view model learns the input camera's elevation. Each argument is only called if it is needed."""

    def __call__(
        self, predict: Callable[[], tuple[float, float] | None], sample_neighbors: Callable[[], np.ndarray]
    ) -> Elevation:
        """predict: the view model's own estimate, degrees and one standard deviation, or None if it has none.

        sample_neighbors: the four neighbors (4, H, W, 3) of view 0, in the order of ``camera.NEIGHBORS``.
        """
        ...


class ViewModel(Protocol):
    """Samples views of an object from one image of it: each on its own (``views.independent``) or all jointly."""

    @property
    def is_joint(self) -> bool:
        """Whether views that are sampled see the given and the kept ones."""
        ...

    def sample_views(
        self,
        cutout: Cutout,
        given: Sequence[GivenView],
        estimate_elevation: ElevationEstimator,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress,
        on_views: OnViews | None,
    ) -> SampledViews:
        """Views of the object in ``cutout`` from all sides.

        callback_on_step_end: called after every sampler step with the fraction of all steps that is done; may raise
        ``Cancelled``. on_views: None where nobody watches; it changes nothing in the views. Raises UserError
        (``needs_elevation``) where the weights need an elevation and none is given.
        """
        ...

    def resample_views(
        self,
        views: Views,
        changes: ViewChanges,
        cutout: Cutout,
        earlier_elevation: float,
        elevation: Elevation,
        config: ReconstructionConfig,
        callback_on_step_end: OnProgress,
        on_views: OnViews | None,
    ) -> SampledViews:
        """Earlier ``views`` of ``cutout`` with ``changes``. Of those that are kept only the ones are sampled anew whose
        cameras move relative to the input's when its elevation, ``earlier_elevation`` degrees before, changes. The
        result has no other sets of views. Otherwise as ``sample_views``.
        """
        ...


class Field(Protocol):
    """A signed distance and a color at every point; saved, so that remeshing can start from it."""

    half_side: float
    """The field is defined on [-half_side, half_side]^3 in world units."""

    def distance(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) float32 world points -> (P,) float32 signed distance, positive outside."""
        ...

    def color(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) float32 world points -> (P, 3) float32 sRGB 0..1."""
        ...

    def grid_to_world(self, points: np.ndarray) -> np.ndarray:
        """(P, 3) points of the reference grid's cube [-1, 1]^3 -> (P, 3) float32 world points.

        The reference grid is the one on which the network's own method samples distances; it may be rotated in the
        world (One-2-3-45's is aligned with the input camera).
        """
        ...

    def tensors(self) -> dict:
        """Everything needed to rebuild the field, as named CPU tensors for safetensors."""
        ...


class SurfaceModel(Protocol):
    """A network that reconstructs a field from posed views: ours, or One-2-3-45's."""

    @property
    def required_views(self) -> int | None:
        """The only number of generated views that the network accepts; None: any."""
        ...

    def reconstruct(self, views: Views, silhouette_constraint: bool = True, others: Sequence[Views] = ()) -> Field:
        """The field of the object in ``views``, of which the first is the input image.

        silhouette_constraint: correct the field where it contradicts the input image's silhouette, if the network's
        fields support that. others: other views of the same object (``SampledViews``), of each of which a network that
        takes any number of views makes a reconstruction of its own; the field is the mean of all. Raises UserError
        ``too_few_views`` where required views are missing.
        """
        ...


@dataclass(frozen=True)
class Mesh:
    """Triangles; a closed mesh winds so that normals point outwards."""

    vertices: np.ndarray
    """(V, 3) float32 world units."""
    faces: np.ndarray
    """(F, 3) int32."""


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh with a UV texture and a map of the source of each texel's color."""

    mesh: Mesh
    uvs: np.ndarray
    """(F, 3, 2) float32 in 0..1, one per triangle corner, origin bottom-left."""
    texture: np.ndarray
    """(T, T, 3) uint8 sRGB, top row first."""
    confidence: np.ndarray
    """(T, T) uint8: 255 from the input image, 170 from generated views, 85 from the field, 0 outside every chart."""

"""Further pictures of the object: from which side they are, and their scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import camera
from ..data_types import VISIBLE, Cutout, GivenView, ViewChanges, Views
from ..errors import ErrorCode, UserError
from ..preprocessing.canvas import resize_on_white
from .combine import move_views, select_views
from .registration import register_silhouette, warp

SIDES = {"right": (90.0, None), "back": (180.0, None), "left": (270.0, None), "top": (0.0, camera.ABOVE_ELEVATION)}
"""Names of sides: azimuth and elevation in degrees; None: as high as the input camera. Sides are named as in Blender,
where the right view looks at the side that is on the right in the front view."""
STEEP = 30.0
"""Where a view is this many degrees higher or lower than the input, heights in the two pictures differ."""
NEAR = 20.0
"""Views whose cameras are this many degrees apart show nearly the same silhouette, and a given one takes the place of a
planned one."""


@dataclass(frozen=True)
class AlignedView:
    """A given view as the view model takes it."""

    image: np.ndarray
    """(S, S, 3) float32 0..1, on white."""
    mask: np.ndarray
    """(S, S) float32, 1 on the object."""
    angles: tuple[float, float]
    """Elevation and azimuth in degrees."""


def parse_side(text: str) -> tuple[float, float | None]:
    """A key of ``SIDES``, an azimuth ("135") or azimuth and elevation ("135,20") -> azimuth and elevation in degrees.

    Raises UserError (``bad_option``).
    """
    if text in SIDES:
        return SIDES[text]
    first, _, second = text.partition(",")
    try:
        azimuth, elevation = float(first), float(second) if second else None
    except ValueError:
        azimuth, elevation = math.nan, None
    if not -360 <= azimuth <= 360 or not (elevation is None or -90 <= elevation <= 90):
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"“{text}” is no side of the object: use {', '.join(SIDES)}, or degrees around it, such as 135, and above "
            "its horizon, such as 135,20.",
        )
    return azimuth, elevation


def parse_views(arguments: Sequence[str]) -> dict[str, Path]:
    """``SIDE=IMAGE`` each -> image files by side. Raises UserError (``bad_option``)."""
    views: dict[str, Path] = {}
    for argument in arguments:
        side, separator, path = argument.partition("=")
        if not separator or not path:
            raise UserError(
                ErrorCode.BAD_OPTION, f"“{argument}” names no side and image: write it as back=IMAGE or 135,20=IMAGE."
            )
        parse_side(side)
        if side in views:
            raise UserError(ErrorCode.BAD_OPTION, f"The side “{side}” is given twice: leave one of its images out.")
        views[side] = Path(path)
    return views


def given_views(given: Sequence[GivenView], aligned: Sequence[AlignedView], size: int) -> Views:
    """Given views, ``size`` pixels a side, as views; there may be none."""
    images = np.array([view.image for view in aligned], np.float32).reshape(-1, size, size, 3)
    masks = np.array([view.mask for view in aligned], np.float32).reshape(-1, size, size)
    elevations, azimuths = np.array([view.angles for view in aligned]).reshape(-1, 2).T
    return Views(images, masks, camera.camera_to_world(90 - elevations, azimuths), tuple(view.name for view in given))


def change_given_views(
    earlier: Views, changes: ViewChanges, cutout: Cutout, size: int, elevation: float, generated: Views
) -> tuple[Views, Views]:
    """Those of the ``earlier`` given views that are kept, and the new ones; ``elevation`` is the input camera's, and
    ``generated`` are views generated before."""
    gone = changes.dropped | {view.name for view in changes.given}
    kept = select_views(earlier, [name for name in earlier.names if name not in gone])
    sides = [parse_side(name) for name in kept.names]
    kept = move_views(kept, [(elevation if height is None else height, azimuth) for azimuth, height in sides])
    aligned = [align(view, cutout, size, elevation, generated) for view in changes.given]
    return kept, given_views(changes.given, aligned, size)


def view_angles(view: GivenView, elevation: float) -> tuple[float, float]:
    """Elevation and azimuth of a given view's camera in degrees; ``elevation`` is the input camera's."""
    return elevation if view.elevation is None else view.elevation, view.azimuth


def align(view: GivenView, cutout: Cutout, size: int, elevation: float, generated: Views) -> AlignedView:
    """The given view as its camera around the object would see it, ``size`` pixels a side; ``elevation`` is the input
    camera's in degrees.

    Every cutout fills its own frame, but cameras around one object see it at one size and, from behind, not in the
    middle. Where a view was ``generated`` from within ``NEAR`` degrees, the given one takes its place and size.
    Elsewhere its center is the image's, and it is as high as the input, seen from above as wide.
    """
    degrees, azimuth = view_angles(view, elevation)
    image, mask = resize_on_white(view.cutout, size)
    pose = camera.camera_to_world(90 - degrees, azimuth)
    cosines = generated.camera_to_world[:, :3, 2] @ pose[:3, 2]
    nearest = int(cosines.argmax()) if len(cosines) else -1
    if nearest >= 0 and cosines[nearest] > math.cos(math.radians(NEAR)) and (generated.masks[nearest] >= VISIBLE).any():
        transform = register_silhouette(mask, generated.masks[nearest])
    else:
        own, reference = _extent(mask), _extent(resize_on_white(cutout, size)[1])
        axis = 0 if abs(degrees - elevation) > STEEP else 1
        scale = float(np.clip((reference[axis] / max(own[axis], 1)), 0.25, 4.0))
        scale = min(scale, 0.98 * size / max(own))
        half = (size - 1) / 2
        transform = np.array([[scale, 0, half - scale * half], [0, scale, half - scale * half]])
    return AlignedView(warp(image, transform, 1.0), warp(mask, transform, 0.0), (degrees, azimuth))


def _extent(mask: np.ndarray) -> tuple[int, int]:
    """Width and height in pixels of what a mask shows."""
    visible = mask >= VISIBLE
    return int(visible.any(0).sum()), int(visible.any(1).sum())

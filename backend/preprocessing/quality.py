"""Whether a cutout is worth a mesh, and what the user should know about it."""

from __future__ import annotations

import numpy as np

from ..data_types import CutoutQuality
from ..errors import ErrorCode, UserError
from .parts import Parts
from .segmentation import UNCERTAIN

MIN_SHARE = 0.001
"""Objects that cover less of the picture than this are too small to reconstruct."""
SMALL_SHARE = 0.01
"""Objects that cover less than this are worth a warning."""
MAX_SHARE = 0.97
"""Where a mask that was not given covers more than this, the background was not recognized."""
HOPELESS = 0.8
"""Uncertain area, as a share of the object's, from which on a cutout is useless, unless two methods agree about it."""
DOUBTFUL = UNCERTAIN / 2
"""Uncertain area, as a share of the object's, from which on a second method is asked."""
AGREEMENT = 0.8
"""Intersection over union from which on two methods confirm each other."""
DISAGREEMENT = 0.5
"""Two methods that agree less than this are mentioned where the better one is not certain either."""
CUT = 0.1
"""Share of the object's width or height that has to lie on a side of the picture to be cut off there."""
GIVEN = ("alpha", "mask")
"""Methods whose outline the user has drawn."""
_OWN_CUTOUT = "cut it out yourself and save it with a transparent background"


def judge(
    alpha: np.ndarray,
    parts: Parts,
    method: str,
    uncertain: float = 0.0,
    agreement: float | None = None,
    remarks: tuple[str, ...] = (),
    is_doubted: bool = False,
) -> CutoutQuality:
    """The quality of an object's alpha (H, W) float32 0..1 in its picture; the other arguments are as in
    ``CutoutQuality`` and ``segmentation.Segmentation``.

    Raises UserError ``no_object`` when nothing, everything or nothing certain was recognized as the object.
    """
    solid = alpha > 0.5
    share = float(solid.mean())
    if share < MIN_SHARE:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "No object was found in the image: use an image of one object that stands out from its background, "
            f"or {_OWN_CUTOUT}.",
        )
    if method not in GIVEN and share > MAX_SHARE:
        raise UserError(
            ErrorCode.NO_OBJECT,
            "The object could not be separated from its background, because nearly the whole image was selected: "
            "leave some plain background around it, or save it with a transparent background.",
        )
    if uncertain > HOPELESS and (agreement is None or agreement < AGREEMENT):
        raise UserError(
            ErrorCode.NO_OBJECT,
            "The object could not be separated from its background, because most of what was selected is uncertain: "
            f"use an image with a plainer background, or {_OWN_CUTOUT}.",
        )
    sides: tuple[str, ...] = ()
    # An alpha channel is often cropped to the object, which then touches every side and is whole nevertheless.
    if method not in GIVEN or not _touches_all_sides(solid):
        sides = sides_cut(solid)
    warnings = [*remarks]
    if sides:
        warnings.append(
            f"The object is cut off at the {' and '.join(sides)} of the image: what lies outside is left out."
        )
    if parts.count > 1:
        warnings.append(f"{parts.count} separate parts were taken as one object: crop the image to get one of them.")
    if parts.left_out:
        where = " and ".join(parts.left_out)
        warnings.append(f"Something else in the image ({where}) was left out: crop the image to it if you want it.")
    if share < SMALL_SHARE:
        warnings.append(f"The object covers only {share:.1%} of the image: a closer one gives more detail.")
    disagrees = agreement is not None and agreement < DISAGREEMENT
    if uncertain > UNCERTAIN or (disagrees and uncertain > DOUBTFUL) or is_doubted:
        reason = "it hardly stands out from its background"
        if is_doubted:
            reason = "thin parts of it may be missing, or gaps in it filled"
        elif disagrees:
            reason = "two methods disagree about it"
        warnings.append(f"The outline of the object is doubtful, because {reason}: check the result, or {_OWN_CUTOUT}.")
    return CutoutQuality(share, sides, parts.count, uncertain, agreement, tuple(warnings))


def sides_cut(solid: np.ndarray) -> tuple[str, ...]:
    """The sides of the picture on which a considerable part of the mask (H, W) bool lies."""
    strip = max(1, round(0.01 * min(solid.shape)))  # a mask may end just before the picture does
    width, height = int(solid.any(0).sum()), int(solid.any(1).sum())
    contacts = {
        "left": solid[:, :strip].any(1).sum() / max(height, 1),
        "right": solid[:, -strip:].any(1).sum() / max(height, 1),
        "top": solid[:strip].any(0).sum() / max(width, 1),
        "bottom": solid[-strip:].any(0).sum() / max(width, 1),
    }
    return tuple(side for side, contact in contacts.items() if contact > CUT)


def _touches_all_sides(solid: np.ndarray) -> bool:
    return all(line.any() for line in (solid[:2], solid[-2:], solid[:, :2], solid[:, -2:]))

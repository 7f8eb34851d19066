"""Cut the object out of the image: by its alpha channel where that shows the object, else by segmentation."""

from __future__ import annotations

import cv2
import numpy as np

from ..data_types import Cutout, CutoutQuality
from ..errors import ErrorCode, UserError
from ..image_filters import nearest_values
from .alpha_channel import clean_alpha, is_frame
from .borders import picture_inside
from .canvas import center
from .parts import choose_parts
from .quality import MAX_SHARE, judge
from .segmentation import UNCERTAIN, Segmentation, segment

MIN_TRANSPARENT = 0.01
"""Alpha channels that are transparent on a smaller share of the image do not cut an object out."""
MIN_OPAQUE = 0.001
"""Nor do those that are opaque on a smaller share."""
MAX_INSIDE = 0.75
"""In an alpha channel with the outline of a picture, an object covers at most this share of the opaque area ..."""
MAX_RIM = 0.25
"""... and at most this share of its rim."""

OUTLINED = (
    "The image's transparency outlines a picture, so the object was cut out of that picture: if the outline is the "
    "object, leave some of its edge uneven."
)


def cut_out(image: np.ndarray) -> Cutout:
    """Image (H, W, 4) float32 RGBA 0..1, straight alpha -> the object alone, centered.

    A useful alpha channel is taken, cleaned; else one of rembg's models where one is on disk; else GrabCut.
    Raises UserError ``no_object`` when nothing, everything or nothing certain is recognized as the object.
    """
    alpha = image[..., 3]
    if alpha.max() < 0.05:
        raise UserError(ErrorCode.NO_OBJECT, "The image is fully transparent: use an image that shows an object.")
    color = np.ascontiguousarray(image[..., :3])
    alpha = clean_alpha(color, alpha)
    is_useful = np.mean(alpha < 0.1) >= MIN_TRANSPARENT and np.mean(alpha > 0.5) >= MIN_OPAQUE
    if is_useful and not is_frame(alpha):
        return _by_alpha(color, alpha)
    picture = _opaque_box(alpha)
    filled = _fill_transparent(color[picture], alpha[picture])
    inside = picture_inside(filled)
    found = segment(np.ascontiguousarray(filled[inside]))
    if found.alpha.mean() > MAX_SHARE:  # what looked like bars was the background
        inside = slice(0, filled.shape[0]), slice(0, filled.shape[1])
        found = segment(filled)
    if is_useful and not _is_object_inside(found, alpha[picture][inside]):
        return _by_alpha(color, alpha)
    remarks = (*found.remarks, *([OUTLINED] if is_useful else []))
    quality = judge(found.alpha, found.parts, found.method, found.uncertain, found.agreement, remarks)
    whole = np.zeros_like(image)
    whole[picture][inside] = np.dstack([found.color, np.minimum(found.alpha, alpha[picture][inside])])
    return _finish(whole, found.method, quality)


def _by_alpha(color: np.ndarray, alpha: np.ndarray) -> Cutout:
    return _finish(np.dstack([color, alpha]), "alpha", judge(alpha, choose_parts(alpha), "alpha"))


def _finish(rgba: np.ndarray, method: str, quality: CutoutQuality) -> Cutout:
    canvas_image, canvas = center(rgba.astype(np.float32))
    return Cutout(canvas_image, method, canvas, quality)


def _opaque_box(alpha: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of an alpha (H, W) that are not wholly transparent."""
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    if not len(rows):
        return slice(0, alpha.shape[0]), slice(0, alpha.shape[1])
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _fill_transparent(color: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colors (H, W, 3) in which transparent corners continue what is beside them: whatever they hide is not shown."""
    opaque = alpha > 0.99
    if opaque.all() or not opaque.any():
        return color
    filled = color.copy()
    filled[~opaque] = nearest_values(color, opaque, ~opaque)
    return filled


def _is_object_inside(found: Segmentation, alpha: np.ndarray) -> bool:
    """Whether an object was found in the picture that an alpha (H, W) outlines, rather than the outline itself.

    GrabCut cannot tell a ball with a stripe from a portrait.
    """
    solid = alpha > 0.5
    mask = (found.alpha > 0.5) & solid
    padded = cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    rim = solid & (cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] < 2 + 0.02 * max(solid.shape))
    share = mask.sum() / solid.sum()
    is_inside = 0.01 < share < MAX_INSIDE and (mask & rim).sum() < MAX_RIM * rim.sum()
    return bool(is_inside and found.uncertain < UNCERTAIN and found.method != "grabcut")

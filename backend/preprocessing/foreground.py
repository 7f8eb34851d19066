"""Cut the object out of the image: by its alpha channel where that shows the object, else by segmentation."""

from __future__ import annotations

import cv2
import numpy as np

from ..data_types import Cutout, CutoutQuality
from ..errors import ErrorCode, UserError
from ..image_filters import nearest_values, shrink
from .alpha_channel import FAINT, clean_alpha, is_frame
from .borders import picture_inside
from .canvas import FILL, MAX_CANVAS, center
from .matting import decontaminate, matte
from .parts import choose_parts
from .quality import DOUBTFUL, MAX_SHARE, judge
from .segmentation import UNCERTAIN, OnDraft, Segmentation, agreement, ignore_draft, segment

FINDING_SIDE = 1536
"""Longest side, in pixels, of the reduced picture that the object is looked for in: a model sees 320 of them. Only the
object's edge is then found in the picture at its full size, or at that of the largest canvas."""
MIN_TRANSPARENT = 0.01
"""Alpha channels that are transparent on a smaller share of the image do not cut an object out."""
MIN_OPAQUE = 0.001
"""Nor do those that are opaque on a smaller share."""
MAX_INSIDE = 0.75
"""In an alpha channel with the outline of a picture, an object covers at most this share of the opaque area ..."""
MAX_RIM = 0.25
"""... and at most this share of its rim."""
MIN_CONTRAST = 0.08
"""Colors change at least this much across the edge of an object in such a picture (a ball's lit side: 0.02, objects on
backgrounds of any kind: above 0.2)."""
EDGE_WIDTH = 0.01
"""Width of what is compared on either side of the edge, as a share of the picture's longer side."""

OUTLINED = (
    "The image's transparency outlines a picture, so the object was cut out of that picture: if the outline is the "
    "object, leave some of its edge uneven."
)


MAX_STRETCH = 0.01
"""Proportions of a mask and its image differ at most by this share."""


def cut_out(
    image: np.ndarray, method: str = "auto", mask: np.ndarray | None = None, on_draft: OnDraft = ignore_draft
) -> Cutout:
    """Image (H, W, 4) float32 RGBA 0..1, straight alpha -> the object alone, centered.

    ``method`` is as in ``Options.cutout``: with ``auto`` a useful alpha channel is taken, cleaned; else one of rembg's
    models where one is on disk; else GrabCut. A ``mask`` (h, w) 0..1 of the same proportions, 1 on the object, takes
    the place of all methods. ``on_draft`` receives the alpha of a photograph's object, at most ``FINDING_SIDE`` pixels
    a side, as soon as one is found, if a closer look may still change it.

    Raises UserError: ``no_object`` when nothing, everything or nothing certain is recognized as the object,
    ``bad_image`` for a mask of other proportions; and what ``on_draft`` raises.
    """
    alpha = image[..., 3]
    if alpha.max() < 0.05:
        raise UserError(ErrorCode.NO_OBJECT, "The image is fully transparent: use an image that shows an object.")
    color = np.ascontiguousarray(image[..., :3])
    if mask is not None:
        return _by_mask(color, mask)
    alpha = clean_alpha(color, alpha)
    is_useful = np.mean(alpha < 0.1) >= MIN_TRANSPARENT and np.mean(alpha > 0.5) >= MIN_OPAQUE
    if method == "alpha" and not is_useful:
        raise UserError(
            ErrorCode.NO_OBJECT, "The image has no transparency that shows an object: cut it out in another way."
        )
    outlines_object = is_useful and not is_frame(alpha)
    if method == "alpha" or (method == "auto" and outlines_object):
        return _by_alpha(color, alpha)
    full, full_alpha, scale = color, alpha, FINDING_SIDE / max(alpha.shape)
    color, alpha = shrink(full, scale), shrink(full_alpha, scale)
    everything = slice(0, color.shape[0]), slice(0, color.shape[1])
    if outlines_object:  # but another method is wanted
        picture = inside = everything
        filled = color * alpha[..., None] + (1 - alpha[..., None])
    else:
        picture = _opaque_box(alpha)
        filled = _fill_transparent(color[picture], alpha[picture])
        inside = picture_inside(filled)

    def show_draft(mask: np.ndarray) -> None:
        whole = np.zeros_like(alpha)
        whole[picture][inside] = mask
        on_draft(whole)

    may_be_outline = method == "auto" and is_useful  # the alpha outlines the object, or a picture in which it is
    found = segment(np.ascontiguousarray(filled[inside]), method, ignore_draft if may_be_outline else show_draft)
    if found.alpha.mean() > MAX_SHARE:  # what looked like bars was the background
        inside = slice(0, filled.shape[0]), slice(0, filled.shape[1])
        found = segment(filled, method)
    if may_be_outline and not _is_object_inside(found, filled[inside], alpha[picture][inside]):
        return _by_alpha(full, full_alpha)
    remarks = (*found.remarks, *([OUTLINED] if may_be_outline else []))
    agrees = agreement(filled[inside], found) if found.uncertain > DOUBTFUL else None
    quality = judge(found.alpha, found.parts, found.method, found.uncertain, agrees, remarks, found.is_doubted)
    whole = np.zeros((*alpha.shape, 4), np.float32)
    whole[picture][inside] = np.dstack([found.color, np.minimum(found.alpha, alpha[picture][inside])])
    if color is full:
        return _finish(whole, found.method, quality)
    return _at_full_size(full, whole[..., 3], found, quality)


def _by_alpha(color: np.ndarray, alpha: np.ndarray) -> Cutout:
    return _finish(np.dstack([color, alpha]), "alpha", judge(alpha, choose_parts(alpha), "alpha"))


def _by_mask(color: np.ndarray, mask: np.ndarray) -> Cutout:
    height, width = color.shape[:2]
    rows, columns = mask.shape
    if abs(rows * width / (columns * height) - 1) > MAX_STRETCH:
        raise UserError(
            ErrorCode.BAD_IMAGE,
            f"The mask has {columns} x {rows} pixels and the image {width} x {height}: use a mask of the image's "
            "proportions.",
        )
    smaller = rows > height
    alpha = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    alpha = np.where(alpha < FAINT, 0, alpha)
    if not (alpha > 0.5).any():
        raise UserError(ErrorCode.NO_OBJECT, "The mask marks no object: paint the object white.")
    quality = judge(alpha, choose_parts(alpha), "mask")
    return _finish(np.dstack([decontaminate(color, alpha), alpha]), "mask", quality)


def _at_full_size(color: np.ndarray, alpha: np.ndarray, found: Segmentation, quality: CutoutQuality) -> Cutout:
    """The cutout of a picture (H, W, 3) in which, reduced, the object's ``alpha`` (h, w) was found."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    margin = int(6 * found.band)
    top, left = max(0, rows[0] - margin), max(0, columns[0] - margin)
    box = slice(top, rows[-1] + 1 + margin), slice(left, columns[-1] + 1 + margin)
    enlarged = max(color.shape[:2]) / max(alpha.shape)
    part = color[tuple(slice(round(side.start * enlarged), round(side.stop * enlarged)) for side in box)]
    scale = min(1.0, FILL * MAX_CANVAS / (enlarged * max(np.ptp(rows), np.ptp(columns))))
    part = shrink(part, scale)
    mask = cv2.resize(alpha[box], part.shape[1::-1])
    rgba = np.dstack(matte(part, mask, found.band * enlarged * scale))
    return _finish(rgba, found.method, quality, (round(left * enlarged), round(top * enlarged)), scale)


def _finish(
    rgba: np.ndarray,
    method: str,
    quality: CutoutQuality,
    offset: tuple[int, int] = (0, 0),
    scale: float = 1.0,
) -> Cutout:
    """``offset``: where in the image the upper left corner of ``rgba`` (H, W, 4) is, left and top; ``scale``: pixels of
    ``rgba`` for one of the image."""
    image, (left, top, side) = center(rgba.astype(np.float32, copy=False))
    return Cutout(image, method, (offset[0] + left / scale, offset[1] + top / scale, side / scale), quality)


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


def _is_object_inside(found: Segmentation, color: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether an object was found in the picture (H, W, 3) that an alpha (H, W) outlines, rather than the outline
    itself.

    GrabCut cannot tell a ball with a stripe from a portrait, and a model takes the lit side of a ball for an object.
    """
    solid = alpha > 0.5
    mask = (found.alpha > 0.5) & solid
    padded = cv2.copyMakeBorder(solid.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    rim = solid & (cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] < 2 + 0.02 * max(solid.shape))
    share = mask.sum() / solid.sum()
    is_inside = 0.01 < share < MAX_INSIDE and (mask & rim).sum() < MAX_RIM * rim.sum()
    is_inside &= not _reaches_across(mask & rim)
    is_certain = found.uncertain < UNCERTAIN and found.method != "grabcut"
    return bool(is_inside and is_certain and _edge_contrast(color, mask, solid) > MIN_CONTRAST)


def _reaches_across(contact: np.ndarray) -> bool:
    """Whether what touches the rim (H, W) bool does so at two opposite sides, as the stripes of a ball do. Shoulders in
    a portrait touch both sides too, but only near the bottom."""
    height, width = contact.shape
    rows, columns = slice(height // 5, -(height // 5) or None), slice(width // 5, -(width // 5) or None)
    tall, wide = max(1, height // 10), max(1, width // 10)
    upright = contact[:tall, columns].any() and contact[-tall:, columns].any()
    return bool(upright or (contact[rows, :wide].any() and contact[rows, -wide:].any()))


def _edge_contrast(color: np.ndarray, mask: np.ndarray, within: np.ndarray) -> float:
    """How much colors (H, W, 3) 0..1 change across the edge of a mask (H, W) bool, on average over the edge; shading
    changes them little over such a distance. Only what is ``within`` (H, W) bool counts."""
    width = max(2, round(EDGE_WIDTH * max(mask.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    wider = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    narrower = cv2.erode(mask.astype(np.uint8), kernel) > 0
    means, weights = [], []
    for band in (mask & ~narrower, wider & ~mask & within):
        weight = cv2.GaussianBlur(band.astype(np.float32), (0, 0), 2 * width)
        total = cv2.GaussianBlur(color * band[..., None].astype(np.float32), (0, 0), 2 * width)
        means.append(total / np.maximum(weight, 1e-4)[..., None])
        weights.append(weight)
    edge = wider & ~narrower & (np.minimum(*weights) > 0.02)
    return float(np.abs(means[0] - means[1]).max(-1)[edge].mean()) if edge.any() else 0.0

"""The object of an opaque picture: by a background-removal model, else by GrabCut."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from ..errors import ErrorCode, UserError
from .color_evidence import mend
from .grabcut import WORKING_SIDE, grabcut
from .matting import matte
from .parts import Parts, choose_parts, keep_parts
from .rembg import Predictor, load_predictor

FOUND = 0.3
"""A model whose largest value is below this sees no object."""
CLEAR = 0.1, 0.9
"""A prediction between these is neither object nor background."""
ZOOM = 0.6
"""A second prediction looks closer where the object with its surroundings fills less than this share of the picture."""
SURROUNDINGS = 0.25
"""Width of what is looked at around the object, as a share of its longer side."""
UNCERTAIN = 0.4
"""Uncertain area, as a share of the object's, from which on a prediction is doubtful."""
FINE = 0.005
"""Fine patterns such as the joints of bricks are blurred away by this share of the picture's longer side."""
DARK = 0.15
"""Median brightness of a picture below which its dark tones are spread and looked at once more."""
BRIGHTNESS_SIDE = 256
"""Pixels of the longer side that are enough for that median."""
MODEL_MISSING = (
    "The background-removal model is not installed, so a simpler method cut out the object: install the weights u2netp."
)
MODEL_NEEDED = (
    "The background-removal model is not installed: install the weights u2netp, or cut the object out in another way."
)
PATTERNED = "The object was found only after a fine pattern, such as bricks, was blurred: check the outline."
MODEL_BLIND = "The background-removal model saw no object, so a simpler method cut it out: check the result."


OnDraft = Callable[[np.ndarray], None]
"""Receives a mask (H, W) float32 0..1 of the object before the model looks closer; may raise ``Cancelled``."""


def ignore_draft(mask: np.ndarray) -> None:
    """An ``OnDraft`` that does nothing."""


class Segmentation(NamedTuple):
    """An object and how it was found."""

    color: np.ndarray
    """(H, W, 3) float32, without the background's color at the edge."""
    alpha: np.ndarray
    """(H, W) float32 0..1; all 0 where nothing was found."""
    method: str
    """As in ``data_types.Cutout``."""
    parts: Parts
    uncertain: float
    """As in ``data_types.CutoutQuality``."""
    mask: np.ndarray
    """(H, W) float32 0..1, as it was found: with all parts and without a matte."""
    band: float
    """Pixels by which its edge may be off."""
    is_doubted: bool
    """Whether thin parts may be missing or gaps filled, as the colors say."""
    remarks: tuple[str, ...]
    """Sentences for the user."""


def segment(color: np.ndarray, method: str = "auto", on_draft: OnDraft = ignore_draft) -> Segmentation:
    """Picture (H, W, 3) float32 sRGB 0..1, without bars -> its object. ``method``: ``model``, ``grabcut`` or ``auto``,
    which takes the model if it is there and sees an object. Raises UserError (``rembg_failed``)."""
    predictor = load_predictor() if method != "grabcut" else None
    if predictor is None and method == "model":
        raise UserError(ErrorCode.REMBG_FAILED, MODEL_NEEDED)
    simple_scale = max(color.shape) / WORKING_SIDE
    if predictor is None:
        remarks = [MODEL_MISSING] if method == "auto" else []
        return _finish(color, grabcut(color), "grabcut", simple_scale, *remarks)
    seen = _predict(predictor, color, on_draft)
    if seen.mask.any() or method == "model":
        return _finish(color, seen.mask, predictor.name, seen.scale, *seen.remarks, is_doubted=seen.is_doubted)
    # GrabCut finds something in front of every clutter; only what stands alone in the picture is believed.
    simple = grabcut(color)
    touches = any(line.any() for line in (simple[0], simple[-1], simple[:, 0], simple[:, -1]))
    return _finish(color, simple * (not touches), "grabcut", simple_scale, MODEL_BLIND)


def agreement(color: np.ndarray, found: Segmentation) -> float | None:
    """How much a model's mask of a picture (H, W, 3) agrees with GrabCut's (``CutoutQuality``). As slow as a model."""
    return None if found.method == "grabcut" else _iou(found.mask, grabcut(color))


def _finish(
    color: np.ndarray, mask: np.ndarray, method: str, scale: float, *remarks: str, is_doubted: bool = False
) -> Segmentation:
    """``scale``: pixels of the picture for one of the mask as it was found; 1.5 of them is what its edge may be off."""
    parts = choose_parts(mask)
    band = 1.5 * max(1.0, scale)
    uncertain = _uncertain_share(mask, parts)
    clean, alpha = matte(color, keep_parts(mask, parts.kept, int(3 * band)), band)
    return Segmentation(clean, alpha, method, parts, uncertain, mask, band, is_doubted, remarks)


def _uncertain_share(mask: np.ndarray, parts: Parts) -> float:
    return float(((mask > CLEAR[0]) & (mask < CLEAR[1])).sum() / max(parts.kept.sum(), 1))


class _Look(NamedTuple):
    """What a model sees."""

    mask: np.ndarray
    """(H, W) float32 0..1, all 0 without an object."""
    scale: float
    """As in ``_finish``."""
    first: np.ndarray
    """(H, W) float32 0..1: what it saw before it looked closer."""


class _Prediction(NamedTuple):
    """A mask and its scale as in ``_Look``, whether it is doubted, and remarks as in ``_finish``."""

    mask: np.ndarray
    scale: float
    is_doubted: bool
    remarks: tuple[str, ...] = ()


def _predict(predictor: Predictor, color: np.ndarray, on_draft: OnDraft) -> _Prediction:
    """The object of a picture (H, W, 3).

    Where it is doubtful, the model looks at the blurred picture too: it takes fine patterns of a wall for the object.
    Else the colors are asked what it has missed.
    """
    mask, scale, first = _look(predictor, color, on_draft)
    uncertain = _uncertain_share(mask, choose_parts(mask))
    if uncertain > UNCERTAIN:
        blur = FINE * max(color.shape)
        blurred, blurred_scale, _ = _look(predictor, cv2.GaussianBlur(color, (0, 0), blur))
        if blurred.any() and _uncertain_share(blurred, choose_parts(blurred)) < uncertain / 2:
            return _Prediction(blurred, max(blurred_scale, blur), False, (PATTERNED,))
    if not mask.any():
        return _Prediction(mask, scale, False)
    mended, is_doubted = mend(color, mask, first)
    return _Prediction(mended, scale, is_doubted)


def _look(predictor: Predictor, color: np.ndarray, on_draft: OnDraft = ignore_draft) -> _Look:
    """The model looks again in other tones where the picture is dark, and closer where the object is small."""
    scale = max(color.shape) / predictor.size
    prediction = predictor.predict(color)
    mask = prediction.alpha if prediction.peak >= FOUND else np.zeros(color.shape[:2], np.float32)
    step = max(1, max(color.shape) // BRIGHTNESS_SIDE)
    median = float(np.median(color[::step, ::step].mean(-1)))
    if median < DARK:
        color = (color ** (np.log(0.5) / np.log(max(median, 0.02)))).astype(np.float32)
        again = predictor.predict(color)
        # A dark half in front of the dark is seen only now; but if what was seen is lost, this is something else.
        if again.peak >= FOUND and np.sum((again.alpha > 0.5) & (mask > 0.5)) >= 0.9 * np.sum(mask > 0.5):
            mask = again.alpha
    if not (mask > 0.5).any():
        return _Look(np.zeros_like(mask), scale, mask)
    first = mask
    kept = choose_parts(mask).kept
    box = _surroundings(kept)
    if mask[box].size < ZOOM * mask.size and min(mask[box].shape) >= 8:
        on_draft(keep_parts(mask, kept, int(3 * scale)))
        closer = predictor.predict(np.ascontiguousarray(color[box]))
        if closer.peak >= FOUND and _iou(closer.alpha, mask[box]) > 0.5:
            scale = max(mask[box].shape) / predictor.size
            mask = np.where(mask > 0.5, mask, 0)
            mask[box] = closer.alpha
    return _Look(mask, scale, first)


def _surroundings(kept: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of a mask (H, W) bool and what is around it."""
    rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
    margin = int(SURROUNDINGS * max(np.ptp(rows), np.ptp(columns))) + 4
    return (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks (H, W) 0..1."""
    return float(np.sum((one > 0.5) & (other > 0.5)) / max(np.sum((one > 0.5) | (other > 0.5)), 1))

"""The cutout of an image as files that a person looks at, and paints on, before a job goes on. Needs no PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import ErrorCode, UserError
from .io.atomic_folder import atomic_folder
from .io.image import load_image
from .preprocessing.canvas import alpha_in_image
from .preprocessing.foreground import cut_out

BACKGROUND = 64
"""Alpha, of 255, of what is not the object in these files: it stays visible."""
PAINTING_SIDE = 1024
"""Longest side in pixels of the image that is cut out here and painted on: larger ones would take seconds."""
PREVIEW_SIDE = 256


def write_cutout(image: Path, folder: Path, method: str, show: Callable[[Path], None] = lambda path: None) -> dict:
    """Cut the object out of an image file and write two PNGs into ``folder``: the whole image, in which alpha 255 is
    the object and ``BACKGROUND`` the rest, to paint on and, smaller, to look at.

    ``method`` is as in ``Options.cutout``. ``show`` receives a PNG to look at until then, where the cutout is there but
    may still become better; the file is gone when this returns. Returns the files' paths as ``painting`` and
    ``preview``, ``background`` (that alpha), ``method`` (what cut it out), ``warnings`` and ``found``: whether there is
    an object; if not, the first warning says why. Raises UserError and what ``show`` raises.
    """
    rgba = load_image(image, PAINTING_SIDE)
    height, width = rgba.shape[:2]
    found, used, alpha = True, method, np.zeros((height, width), np.float32)
    painting, preview = "cutout.png", f"cutout-{method}.png"
    with atomic_folder(folder) as target:
        draft = target / f"draft-{method}.png"

        def show_draft(alpha: np.ndarray) -> None:
            _write(_marked(rgba, alpha), draft, PREVIEW_SIDE)
            show(draft)

        try:
            cutout = cut_out(rgba, method, on_draft=show_draft)
        except UserError as error:
            if error.code not in (ErrorCode.NO_OBJECT, ErrorCode.REMBG_FAILED):
                raise
            found, warnings = False, [str(error)]
        else:
            used, warnings = cutout.method, list(cutout.quality.warnings) if cutout.quality else []
            alpha = alpha_in_image(cutout, height, width)
        marked = _marked(rgba, alpha)
        _write(marked, target / painting, PAINTING_SIDE)
        _write(marked, target / preview, PREVIEW_SIDE)
        with contextlib.suppress(OSError):  # there is none, or somebody is just reading it, on Windows
            draft.unlink()
    return {
        "painting": str(folder / painting),
        "background": BACKGROUND,
        "preview": str(folder / preview),
        "method": used,
        "found": found,
        "warnings": warnings,
    }


def _marked(rgba: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """The image (H, W, 4) with what is not the object, by its alpha (H, W), at ``BACKGROUND``."""
    alpha = BACKGROUND + (255 - BACKGROUND) * alpha
    return Image.fromarray(np.round(np.dstack([rgba[..., :3] * 255, alpha])).astype(np.uint8))


def _write(image: Image.Image, file: Path, side: int) -> None:
    """Write a PNG of at most ``side`` pixels a side."""
    reduced = image.copy()
    reduced.thumbnail((side, side))
    reduced.save(file, compress_level=1)

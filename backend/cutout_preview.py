"""The cutout of an image as files that a person looks at, and paints on, before a job goes on. Needs no PyTorch."""

from __future__ import annotations

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


def write_cutout(image: Path, folder: Path, method: str) -> dict:
    """Cut the object out of an image file and write two PNGs into ``folder``: the whole image, in which alpha 255 is
    the object and ``BACKGROUND`` the rest, to paint on and, smaller, to look at.

    ``method`` is as in ``Options.cutout``. Returns the files' paths as ``painting`` and ``preview``, ``background``
    (that alpha), ``method`` (what cut it out), ``warnings`` and ``found``: whether there is an object; if not, the
    first warning says why. Raises UserError.
    """
    rgba = load_image(image, PAINTING_SIDE)
    height, width = rgba.shape[:2]
    found, used, alpha = True, method, np.zeros((height, width), np.float32)
    try:
        cutout = cut_out(rgba, method)
    except UserError as error:
        if error.code not in (ErrorCode.NO_OBJECT, ErrorCode.REMBG_FAILED):
            raise
        found, warnings = False, [str(error)]
    else:
        used, warnings = cutout.method, list(cutout.quality.warnings) if cutout.quality else []
        alpha = alpha_in_image(cutout, height, width)
    shown = np.round(np.dstack([rgba[..., :3] * 255, BACKGROUND + (255 - BACKGROUND) * alpha])).astype(np.uint8)
    painting, preview = "cutout.png", f"cutout-{method}.png"
    with atomic_folder(folder) as target:
        for name, side in ((painting, PAINTING_SIDE), (preview, PREVIEW_SIDE)):
            reduced = Image.fromarray(shown)
            reduced.thumbnail((side, side))
            reduced.save(target / name, compress_level=1)
    return {
        "painting": str(folder / painting),
        "background": BACKGROUND,
        "preview": str(folder / preview),
        "method": used,
        "found": found,
        "warnings": warnings,
    }

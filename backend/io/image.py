"""An image from a file or from memory -> an RGBA array, or one clear sentence on what is wrong with it."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import ErrorCode, UserError, printable
from ..input_files import check_image_file
from .png_chunks import png_without_text

MIN_INPUT_SIDE = 16
MAX_INPUT_SIDE = 8192
MAX_SIDE = 4096
"""Pixels; larger images are reduced to this, since no texture is larger."""
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "TGA", "PPM", "JPEG2000")
"""Formats of Pillow that are pure decoders; others would start external programs."""
_HINT = "use an image saved as PNG, JPEG or WebP"


def load_image(source: Path | str | Image.Image | np.ndarray, max_side: int = MAX_SIDE) -> np.ndarray:
    """An image as (H, W, 4) float32 RGBA 0..1, straight alpha, sRGB, upright, in steps of 1/255.

    ``source``: a file, a Pillow image, or an array (H, W, 3 or 4) of uint8 or of floats 0..1. Larger images are reduced
    to ``max_side``. Raises UserError (``bad_image``) for one that is missing, unreadable, truncated, too small, too
    large or empty.
    """
    image, name = _open(source, max_side)
    extrema = np.array(image.getextrema())
    faintest, most_opaque = extrema[3] / 255
    if most_opaque <= 0.05:
        raise UserError(ErrorCode.BAD_IMAGE, f"{name} is fully transparent: use an image that shows an object.")
    if faintest > 0.05 and np.ptp(extrema, axis=1).max() < 3:
        raise UserError(ErrorCode.BAD_IMAGE, f"{name} is all one color: use an image that shows an object.")
    return np.asarray(image, np.float32) / 255


def load_mask(source: Path | str | Image.Image | np.ndarray) -> np.ndarray:
    """A mask as (H, W) float32 0..1: how white an image is, or how opaque, if it has transparency.

    ``source`` and what is raised are as in ``load_image``.
    """
    image, _ = _open(source)
    alpha = image.getchannel("A")
    mask = image.convert("L") if alpha.getextrema()[0] == 255 else alpha
    return np.asarray(mask, np.float32) / 255


def _open(source: Path | str | Image.Image | np.ndarray, max_side: int = MAX_SIDE) -> tuple[Image.Image, str]:
    """The image as ``_prepare`` returns it, and what to call it in a sentence."""
    if isinstance(source, (str, Path)):
        return _read(Path(source), max_side), printable(Path(source).name)
    name = "The image"
    return _prepare(_from_array(source) if isinstance(source, np.ndarray) else source, name, max_side), name


def _read(path: Path, max_side: int) -> Image.Image:
    """The image file as ``_prepare`` returns it."""
    check_image_file(path)
    name = printable(path.name)
    try:
        try:
            return _decode(path, name, max_side)
        except ValueError:
            if not (pixels := png_without_text(path)):
                raise
            return _decode(io.BytesIO(pixels), name, max_side)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except UnidentifiedImageError as error:
        raise UserError(
            ErrorCode.BAD_IMAGE, f"{printable(path.name)} is not an image that can be read: {_HINT}."
        ) from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a damaged file can make Pillow's decoders raise anything
        raise UserError(
            ErrorCode.BAD_IMAGE, f"{printable(path.name)} is damaged or truncated ({error}): {_HINT}."
        ) from error


def _decode(file: Path | io.BytesIO, name: str, max_side: int) -> Image.Image:
    """As ``_prepare``. Raises whatever Pillow's decoders do."""
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked in _prepare
        with Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            return _prepare(image, name, max_side)


def _from_array(array: np.ndarray) -> Image.Image:
    """(H, W, 3 or 4) uint8 or floats 0..1 -> a Pillow image. Raises UserError."""
    is_float = np.issubdtype(array.dtype, np.floating)
    has_shape = array.ndim == 3 and array.shape[2] in (3, 4)
    if not has_shape or not (array.dtype == np.uint8 or is_float):
        raise UserError(
            ErrorCode.BAD_IMAGE,
            f"An array of shape {array.shape} and type {array.dtype} is not an image: use height x width x 3 or 4 of "
            "uint8 or of floats between 0 and 1.",
        )
    if is_float:
        if not ((array >= 0) & (array <= 1)).all():  # nor NaN
            raise UserError(ErrorCode.BAD_IMAGE, "The array holds values outside 0 to 1: scale it, or use uint8.")
        array = np.round(array * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def _prepare(image: Image.Image, name: str, max_side: int) -> Image.Image:
    """An 8-bit RGBA copy in sRGB, upright, at most ``max_side`` pixels a side."""
    _check_size(name, *image.size)
    image.draft(image.mode, (max_side, max_side))  # a JPEG file is decoded at half the size where that is enough
    image.load()
    upright = ImageOps.exif_transpose(_to_8_bit(image))
    if upright.mode in ("RGB", "CMYK", "L") and "transparency" not in upright.info:
        upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)  # the rest is faster then
    prepared = _to_srgb(upright)
    prepared.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return prepared


def _check_size(name: str, width: int, height: int) -> None:
    if max(width, height) > MAX_INPUT_SIDE:
        raise _too_large(name, f"{width} x {height} pixels")
    if min(width, height) < MIN_INPUT_SIDE:
        raise UserError(
            ErrorCode.BAD_IMAGE,
            f"{name} is too small ({width} x {height} pixels): use an image of at least "
            f"{MIN_INPUT_SIDE} pixels per side, preferably 256 or more.",
        )


def _too_large(name: str, size: str = "far too many pixels") -> UserError:
    advice = f"reduce it to at most {MAX_INPUT_SIDE} pixels per side"
    return UserError(ErrorCode.BAD_IMAGE, f"{name} is too large ({size}): {advice}.")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Grayscale of 16 or 32 bits or of floats -> 8 bits; Pillow itself would clip it at 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    exif = image.getexif()
    gray = np.nan_to_num(np.asarray(image, np.float64)).clip(0)
    ranges = (65535.0,) if image.mode.startswith("I;16") else (1.0, 255.0, 65535.0, max(gray.max(), 1.0))
    white = next(limit for limit in ranges if gray.max() <= limit)
    reduced = Image.fromarray(np.round(gray / white * 255).astype(np.uint8))
    reduced.getexif().update(exif)
    return reduced


def _to_srgb(image: Image.Image) -> Image.Image:
    """RGBA in sRGB, by the image's own color profile where it has a valid one (print and wide-gamut images)."""
    straight = image.convert("RGBA")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            flat = image.convert("RGB") if image.mode == "RGBA" else image
            colors = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if colors is not None:  # it only is where the conversion happens in place
                colors.putalpha(straight.getchannel("A"))
                return colors
    return straight

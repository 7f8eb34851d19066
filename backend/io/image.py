"""A file -> an RGBA array, or one clear sentence."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import ErrorCode, UserError

SMALLEST_SIDE = 16
LARGEST_SIDE = 8192
KEPT_SIDE = 4096
"""Larger pictures are reduced to this; no texture is larger."""
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "TGA", "PPM", "JPEG2000")
"""Formats of Pillow that are pure decoders; others would start foreign programs."""
_HINT = "use a picture saved as PNG, JPEG or WebP"


def load_picture(path: Path | str) -> np.ndarray:
    """The picture of a file as (H, W, 4) float32 RGBA 0..1, straight alpha, sRGB, turned upright.

    Raises UserError (``bad_image``) for a missing, unreadable, truncated, too small, too large or empty picture.
    """
    path = Path(path)
    image = np.asarray(_read(path), np.float32) / 255
    seen = image[image[..., 3] > 0.05]
    if not len(seen):
        raise UserError(ErrorCode.BAD_IMAGE, f"{path.name} is fully transparent: use a picture that shows an object.")
    if np.ptp(seen, axis=0).max() < 3 / 255 and len(seen) == image[..., 3].size:
        raise UserError(ErrorCode.BAD_IMAGE, f"{path.name} is all one color: use a picture that shows an object.")
    return image


def _read(path: Path) -> Image.Image:
    """The file as an 8-bit RGBA image, at most KEPT_SIDE pixels a side."""
    Image.init()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked below
            with Image.open(path, formats=[each for each in FORMATS if each in Image.OPEN]) as image:
                _check_size(path, *image.size)
                image.load()
                image = _to_srgb(ImageOps.exif_transpose(_to_8_bit(image)))
    except FileNotFoundError as error:
        raise UserError(ErrorCode.BAD_IMAGE, f"There is no file {path}: check the path.") from error
    except (IsADirectoryError, PermissionError) as error:
        raise UserError(
            ErrorCode.BAD_IMAGE, f"{path} cannot be read: choose a picture file that you may open."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        raise UserError(ErrorCode.BAD_IMAGE, f"{path.name} is not a picture that can be read: {_HINT}.") from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a damaged file can make Pillow's decoders raise anything
        raise UserError(ErrorCode.BAD_IMAGE, f"{path.name} is damaged or cut short ({error}): {_HINT}.") from error
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    return image


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > LARGEST_SIDE:
        raise _too_large(path, f"{width} x {height} pixels")
    if min(width, height) < SMALLEST_SIDE:
        raise UserError(
            ErrorCode.BAD_IMAGE,
            f"{path.name} is too small ({width} x {height} pixels): use a picture of at least "
            f"{SMALLEST_SIDE} pixels a side, better 256 or more.",
        )


def _too_large(path: Path, size: str = "far too many pixels") -> UserError:
    advice = f"reduce it to at most {LARGEST_SIDE} pixels a side"
    return UserError(ErrorCode.BAD_IMAGE, f"{path.name} is too large ({size}): {advice}.")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Deep grays (16 and 32 bits, floats) to 8 bits; Pillow itself would clip them at 255."""
    if not image.mode.startswith(("I", "F")):
        return image
    exif = image.getexif()
    gray = np.nan_to_num(np.asarray(image, np.float64)).clip(0)
    ranges = (65535.0,) if image.mode.startswith("I;16") else (1.0, 255.0, 65535.0, max(gray.max(), 1.0))
    top = next(each for each in ranges if gray.max() <= each)
    eight = Image.fromarray(np.round(gray / top * 255).astype(np.uint8))
    eight.getexif().update(exif)
    return eight


def _to_srgb(image: Image.Image) -> Image.Image:
    """Colors by the file's own profile where it has a sound one (print and wide-gamut pictures), alpha kept."""
    straight = image.convert("RGBA")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            flat = image.convert("RGB") if image.mode == "RGBA" else image
            colors = ImageCms.profileToProfile(flat, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            colors.putalpha(straight.getchannel("A"))
            return colors
    return straight

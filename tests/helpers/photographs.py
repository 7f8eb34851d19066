"""Photographs composed of an object, whose true alpha is known, and a background."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from backend.data_types import Cutout
from tests.helpers.paths import ROOT

EXAMPLES = ("car", "chair", "mug", "teddy")
SHAPES = ("ball", "vase", "lamp")
OBJECTS = (*EXAMPLES, *SHAPES)
BACKGROUNDS = ("white", "studio", "wall_and_table", "wood", "bricks", "cloth", "grass", "room", "dark")


class Photograph(NamedTuple):
    """An image and what of it is the object."""

    image: np.ndarray
    """(H, W, 4) float32 RGBA 0..1, opaque."""
    alpha: np.ndarray
    """(H, W) float32 0..1, the object's true alpha."""

    def iou(self, mask: np.ndarray) -> float:
        """Intersection over union of a mask (H, W) 0..1 and the object."""
        return iou(mask, self.alpha)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks (H, W) 0..1."""
    return float(np.sum((mask > 0.5) & (truth > 0.5)) / max(np.sum((mask > 0.5) | (truth > 0.5)), 1))


def load_object(name: str) -> np.ndarray:
    """One of ``OBJECTS``, tightly cropped: (h, w, 4) float32, straight alpha."""
    if name in EXAMPLES:
        rgba = np.asarray(Image.open(ROOT / "examples" / f"{name}.png").convert("RGBA"), np.float32) / 255
    else:
        rgba = _shaded(name)
    rows, columns = np.flatnonzero(rgba[..., 3].any(1)), np.flatnonzero(rgba[..., 3].any(0))
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _shaded(name: str) -> np.ndarray:
    """A solid of revolution, lit from the upper left: (400, 400, 4)."""
    canvas = Image.new("L", (1600, 1600))
    draw = ImageDraw.Draw(canvas)
    if name == "ball":
        draw.ellipse([100, 100, 1500, 1500], fill=255)
        color = (0.85, 0.35, 0.15)
    elif name == "vase":
        right = [(980, 60), (920, 320), (1240, 800), (1000, 1540)]
        draw.polygon([*right, *((1600 - x, y) for x, y in reversed(right))], 255)
        color = (0.25, 0.5, 0.75)
    else:
        draw.polygon([(500, 80), (1100, 80), (1350, 700), (250, 700)], 255)
        draw.rectangle([760, 700, 840, 1450], fill=255)
        draw.ellipse([450, 1380, 1150, 1560], fill=255)
        color = (0.8, 0.75, 0.4)
    alpha = np.asarray(canvas.resize((400, 400), Image.Resampling.BOX), np.float32) / 255
    row, column = np.mgrid[-1:1:400j, -1:1:400j]
    shade = np.clip(0.75 - 0.35 * column - 0.3 * row, 0.2, 1)
    bands = 0.85 + 0.15 * np.sign(np.sin(9 * row + 1))
    return np.dstack([np.clip(np.multiply.outer(shade * bands, color), 0, 1), alpha]).astype(np.float32)


def background(kind: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    """One of ``BACKGROUNDS``, sharp and with a camera's noise: (height, width, 3) float32."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)

    def noise(rows: int, columns: int) -> np.ndarray:
        coarse = rng.random((rows, columns), np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)

    def mix(weight: np.ndarray, low: tuple, high: tuple) -> np.ndarray:
        return (1 - weight)[..., None] * np.float32(low) + weight[..., None] * np.float32(high)

    if kind == "white":
        image = np.ones((height, width, 3), np.float32)
    elif kind == "studio":
        image = mix(np.clip((row + 0.3 * column) / 1.3, 0, 1), (0.9, 0.9, 0.95), (0.55, 0.58, 0.7))
    elif kind == "wall_and_table":
        image = mix((row > 0.62).astype(np.float32), (0.78, 0.8, 0.76), (0.45, 0.3, 0.2))
        image = image * (1.05 - 0.25 * column[..., None]) + 0.05 * (noise(40, 60)[..., None] - 0.5)
    elif kind == "wood":
        grain = 0.5 + 0.5 * np.sin(60 * row + 14 * noise(4, 6))
        image = mix(0.4 * grain + 0.3 * noise(60, 6), (0.5, 0.33, 0.2), (0.75, 0.55, 0.36))
    elif kind == "bricks":
        shifted = 8 * column + 0.5 * (np.floor(12 * row) % 2)
        mortar = ((12 * row % 1 < 0.12) | (shifted % 1 < 0.08)).astype(np.float32)
        image = mix(mortar, (0.6, 0.3, 0.22), (0.75, 0.72, 0.68)) * (0.8 + 0.4 * noise(24, 16))[..., None]
    elif kind == "cloth":
        folds = 0.5 + 0.5 * np.sin(10 * column + 5 * noise(3, 4))
        image = mix(folds, (0.25, 0.3, 0.45), (0.4, 0.46, 0.6))
    elif kind == "grass":
        image = mix(noise(height // 3, width // 3), (0.15, 0.3, 0.08), (0.45, 0.6, 0.25)) * (0.6 + 0.4 * row)[..., None]
    elif kind == "room":
        image = mix((row > 0.7).astype(np.float32), (0.7, 0.66, 0.6), (0.5, 0.42, 0.36))
        for left, top, right, bottom, color in (
            (0.05, 0.1, 0.25, 0.45, (0.35, 0.45, 0.6)),
            (0.75, 0.05, 0.97, 0.7, (0.42, 0.33, 0.28)),
            (0.3, 0.15, 0.42, 0.35, (0.75, 0.72, 0.5)),
        ):
            inside = (column > left) & (column < right) & (row > top) & (row < bottom)
            image[inside] = np.float32(color) * (0.8 + 0.2 * row[inside][:, None])
        image = cv2.GaussianBlur(image, (0, 0), max(1.0, min(height, width) / 120))
    else:
        image = mix(noise(3, 3), (0.03, 0.03, 0.04), (0.1, 0.09, 0.1))
    grainy = image if kind == "white" else image + rng.normal(0, 0.012, image.shape)
    return np.clip(grainy, 0, 1).astype(np.float32)


def place(
    name: str, height: int, width: int, scale: float = 0.6, center: tuple[float, float] = (0.5, 0.5)
) -> np.ndarray:
    """An object in a transparent frame (height, width, 4): its longer side fills ``scale`` of the frame's shorter one,
    and its middle is at ``center`` (x, y as shares of the frame). What lies outside is cut off."""
    rgba = load_object(name)
    factor = scale * min(height, width) / max(rgba.shape[:2])
    matrix = np.float32(
        [
            [factor, 0, center[0] * width - factor * rgba.shape[1] / 2],
            [0, factor, center[1] * height - factor * rgba.shape[0] / 2],
        ]
    )
    premultiplied = np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3]])
    if factor < 1:  # else warpAffine would skip pixels
        size = max(1, round(factor * rgba.shape[1])), max(1, round(factor * rgba.shape[0]))
        premultiplied = cv2.resize(premultiplied, size, interpolation=cv2.INTER_AREA)
        matrix[:, :2] = np.eye(2)
    placed = cv2.warpAffine(premultiplied, matrix, (width, height), flags=cv2.INTER_LINEAR)
    placed[..., :3] /= np.maximum(placed[..., 3:], 1e-4)
    return np.clip(placed, 0, 1)


def compose(objects: np.ndarray, behind: np.ndarray, shadow: float = 0.0) -> Photograph:
    """Objects (H, W, 4) over a background (H, W, 3); ``shadow`` is the darkness of a soft shadow on what is behind."""
    alpha = objects[..., 3]
    if shadow:
        size = max(3, min(alpha.shape) // 20)
        soft = cv2.GaussianBlur(np.roll(alpha, (size // 2, size), (0, 1)), (0, 0), size / 2)
        behind = behind * (1 - shadow * soft[..., None])
    image = behind * (1 - alpha[..., None]) + objects[..., :3] * alpha[..., None]
    return Photograph(np.dstack([image, np.ones_like(alpha)]).astype(np.float32), alpha)


def photograph(
    name: str, kind: str, shape=(480, 640), scale=0.6, center=(0.5, 0.55), shadow=0.35, seed=0
) -> Photograph:
    """An object in front of a background."""
    return compose(place(name, *shape, scale, center), background(kind, *shape, seed), shadow)


def in_image(cutout: Cutout, shape: tuple[int, ...]) -> np.ndarray:
    """A cutout's alpha at its position in the image of this ``shape``: (H, W) float32."""
    height, width = shape[:2]
    left, top, side = cutout.canvas
    scale = side / len(cutout.image)
    matrix = np.float32([[scale, 0, left + 0.5 * (scale - 1)], [0, scale, top + 0.5 * (scale - 1)]])
    return cv2.warpAffine(np.ascontiguousarray(cutout.image[..., 3]), matrix, (width, height), flags=cv2.INTER_LINEAR)

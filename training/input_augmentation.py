"""What photographs and rough cutouts do to pictures: another lens, other tones, wrong masks, blur, noise and JPEG.

Rendered inputs are cleaner than any picture that users bring. Tones change in all views of a scene, which stay views of
one object; the rest, like other light (``lighting``), happens to the input alone, and the views to generate stay what
they are.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from procedural.normalization import FRAME_FILL
from training.jpeg import compress

LARGEST_LENS_CHANGE = 0.25
"""By which share another lens changes how large an object is seen; farther off, a picture is not reframed."""
MISPLACEMENT = 0.03, 0.01
"""Standard deviations of what the backend is wrong by where it places a given view (``backend.views.given``): of the
logarithm of its size, and of its place as a share of the frame; measured in docs/experiments.md."""
LUMA = (0.299, 0.587, 0.114)
LARGEST_BLUR = 2.0
"""Standard deviation in pixels of 128-pixel pictures."""


def change_lens(cameras: torch.Tensor, share: float, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Cameras (N, 4, 4) of inputs -> the same, ``share`` of them .85 to 4 times as far away with a lens as much longer,
    and which are changed (N,) bool.

    The longer lens is a matrix whose first two axes are longer; ``mesh_rasterizer`` projects through these.
    """
    changed = rng.random(len(cameras)) < share
    factor = np.where(changed, np.exp(rng.uniform(np.log(0.85), np.log(4.0), len(cameras))), 1.0)
    factors = torch.from_numpy(factor.astype(np.float32)).to(cameras.device)[:, None]
    cameras = cameras.clone()
    cameras[:, :3, 3] *= factors
    cameras[:, :3, :2] *= factors[..., None]
    return cameras, torch.from_numpy(changed).to(cameras.device)


def reframe(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (N, S, S, 4) uint8, color on white and coverage -> the same, centered and filling the frame as a cutout
    does. Where this changes their size by more than ``LARGEST_LENS_CHANGE``, they stay as they are."""
    covered = pictures[..., 3] > 127
    low_x, high_x = _extent(covered.any(1))
    low_y, high_y = _extent(covered.any(2))
    scale = torch.maximum(high_x - low_x, high_y - low_y) / FRAME_FILL
    keep = ((scale - 1).abs() > LARGEST_LENS_CHANGE) | ~covered.any((1, 2))
    scale = torch.where(keep, 1.0, scale)
    x, y = (torch.where(keep, 0.0, low + high - 1) for low, high in ((low_x, high_x), (low_y, high_y)))
    return _zoom(pictures, scale, x, y)


def misplace(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Pictures (N, S, S, 4) uint8, color on white and coverage -> the same, a little larger or smaller and moved a
    little, by ``MISPLACEMENT``."""
    size, place = MISPLACEMENT
    errors = rng.normal(0, (size, 2 * place, 2 * place), (len(pictures), 3)).astype(np.float32)
    scale, x, y = torch.from_numpy(errors).to(pictures.device).unbind(1)
    return _zoom(pictures, scale.exp(), x, y)


def _zoom(pictures: torch.Tensor, scale: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pictures (N, S, S, 4) uint8 -> what a window of ``scale`` (N,) times their frame shows, whose center is at x, y
    (N,) in -1..1; white and uncovered outside."""
    zero = torch.zeros_like(scale)
    transform = torch.stack([torch.stack([scale, zero, x], -1), torch.stack([zero, scale, y], -1)], 1)
    background = torch.tensor([255.0, 255, 255, 0], device=pictures.device).view(4, 1, 1)
    images = pictures.permute(0, 3, 1, 2).float() - background
    grid = F.affine_grid(transform, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, align_corners=False) + background
    return _to_bytes(images)


def change_tones(pictures: torch.Tensor, share: float, rng: np.random.Generator) -> torch.Tensor:
    """Pictures (N, V, S, S, 4) uint8 -> the same with another exposure, white balance, gamma, contrast and saturation
    in ``share`` of the scenes, equal in all their views; the background stays white."""
    count = len(pictures)
    changed = rng.random(count) < share

    def factors(spread: float, channels: int = 1) -> torch.Tensor:
        values = np.where(changed[:, None], np.exp(rng.uniform(-spread, spread, (count, channels))), 1.0)
        return torch.from_numpy(values.astype(np.float32)).to(pictures.device).view(-1, 1, 1, 1, channels)

    exposure, balance, gamma, contrast, saturation = (
        factors(0.3), factors(0.1, 3), factors(0.4), factors(0.25), factors(0.35)
    )  # fmt: skip
    alpha = pictures[..., 3:].float() / 255
    color = ((pictures[..., :3].float() / 255 - 1 + alpha) / alpha.clamp_min(1 / 255)).clamp(0, 1)
    color = (color * exposure * balance).clamp_max(1)
    color = (color**gamma - 0.5) * contrast + 0.5
    gray = (color * torch.tensor(LUMA, device=color.device)).sum(-1, keepdim=True)
    color = (gray + (color - gray) * saturation).clamp(0, 1)
    changed_pictures = torch.cat([color * alpha + 1 - alpha, alpha], -1)
    return (changed_pictures * 255 + 0.5).byte()


def degrade_cutouts(pictures: torch.Tensor, share: float, rng: np.random.Generator) -> torch.Tensor:
    """Inputs (N, S, S, 4) uint8, color on white and mask -> the same, ``share`` of them cut out of a photograph badly.

    The object is put before a background, on which it casts a shadow where it stands and whose color it takes on at its
    rim. It is blurred, given noise and, half of the time, compressed; its mask is a little too wide or too narrow, in
    other places by other amounts, so that some of the background stays at the rim and some of the object is missing.
    """
    rows = torch.from_numpy(np.flatnonzero(rng.random(len(pictures)) < share)).to(pictures.device)
    if not len(rows):
        return pictures
    degraded = pictures.clone()
    degraded[rows] = _degrade(pictures[rows], rng)
    return degraded


def _degrade(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    count, size, device = len(pictures), pictures.shape[1], pictures.device

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (count, *shape)).astype(np.float32)).to(device)

    images = pictures.permute(0, 3, 1, 2).float() / 255
    color, alpha = images[:, :3], images[:, 3:]
    ramp = torch.linspace(0, 1, size, device=device).view(1, 1, -1, 1)
    top, bottom = uniform(0, 1, 3, 1, 1), uniform(0, 1, 3, 1, 1)
    background = (top + (bottom - top) * ramp) * (1 - uniform(0, 0.8, 1, 1, 1) * _shadow_below(pictures, rng))
    photo = color - (1 - alpha) * (1 - background)
    rim = alpha * (1 - _blur(alpha, uniform(0.5, LARGEST_BLUR, 1)[:, 0]))
    photo = photo + uniform(0, 0.6, 1, 1, 1) * rim * (background - photo)
    blur = uniform(0, 1.0, 1)[:, 0]
    photo = _blur(photo, blur)
    photo = photo + uniform(0, 0.03, 1, 1, 1) * torch.randn(photo.shape, device=device)
    photo = compress(photo.clamp(0, 1), rng.uniform(40, 160, count))
    wobble = F.interpolate(uniform(-0.25, 0.25, 1, 8, 8), size=(size, size), mode="bicubic", align_corners=False)
    threshold = (0.5 + uniform(-0.2, 0.2, 1, 1, 1) + wobble).clamp(0.2, 0.8)
    ramp_width = uniform(0.1, 0.4, 1, 1, 1)
    mask = ((_blur(alpha, blur + 0.6) - threshold) / ramp_width + 0.5).clamp(0, 1)
    return _to_bytes(torch.cat([mask * photo + 1 - mask, mask], 1) * 255)


def _shadow_below(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A soft shadow (N, 1, S, S) in 0..1 on the ground, about as wide as the object, around the lowest that is seen of
    it in pictures (N, S, S, 4)."""
    count, size, device = len(pictures), pictures.shape[1], pictures.device
    covered = pictures[..., 3] > 127
    left, right = _extent(covered.any(1))
    _, bottom = _extent(covered.any(2))
    scale = torch.from_numpy(np.exp(rng.uniform((-0.4, -3.5), (0.3, -2.0), (count, 2))).astype(np.float32)).to(device)
    steps = (torch.arange(size, device=device) + 0.5) / size
    x = (steps - ((left + right) / 2)[:, None]) / ((right - left) / 2 * scale[:, 0]).clamp_min(1e-3)[:, None]
    y = (steps - bottom[:, None]) / scale[:, 1:]
    return torch.exp(-(x[:, None, None].square() + y[:, None, :, None].square()))


def _extent(marked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and last marked position of rows (N, S) of bools, as fractions of the length."""
    size = marked.shape[1]
    low = marked.int().argmax(1)
    high = size - marked.flip(1).int().argmax(1)
    return low / size, high / size


def _blur(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of images (N, C, S, S), each with its own standard deviation (N,) in pixels."""
    count, channels = images.shape[:2]
    radius = int(2 * LARGEST_BLUR)
    offset = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-(offset**2) / (2 * sigma[:, None].clamp(0.1, LARGEST_BLUR) ** 2))
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    joined = images.reshape(1, count * channels, *images.shape[2:])
    for shape in ((-1, 1, 1, 2 * radius + 1), (-1, 1, 2 * radius + 1, 1)):
        padding = [radius if side > 1 else 0 for side in (shape[3], shape[3], shape[2], shape[2])]
        joined = F.conv2d(F.pad(joined, padding, mode="replicate"), weights.view(shape), groups=count * channels)
    return joined.view_as(images)


def _to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, S, S) in 0..255 -> (N, S, S, C) uint8."""
    return (images + 0.5).clamp(0, 255).byte().permute(0, 2, 3, 1)

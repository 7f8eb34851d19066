"""What JPEG files do to images."""

from __future__ import annotations

import cv2
import numpy as np
import torch


def compress(images: torch.Tensor, quality: np.ndarray) -> torch.Tensor:
    """Images (N, 3, S, S) float32 0..1 -> as they come out of a JPEG file of ``quality`` (N,), 1 to 100 as in libjpeg;
    above that they stay as they are."""
    chosen = np.flatnonzero(quality <= 100)
    if not len(chosen):
        return images
    rows = torch.from_numpy(chosen).to(images.device)
    pixels = (images[rows] * 255 + 0.5).byte().permute(0, 2, 3, 1).flip(-1)  # OpenCV's are BGR
    pixels = pixels.contiguous().cpu().numpy()
    for image, number in zip(pixels, chosen, strict=True):
        _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, round(quality[number])])
        image[:] = cv2.imdecode(file, cv2.IMREAD_COLOR)
    compressed = images.clone()
    compressed[rows] = torch.from_numpy(pixels).to(images).flip(-1).permute(0, 3, 1, 2) / 255
    return compressed

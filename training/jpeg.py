"""What JPEG files do to images."""

from __future__ import annotations

import cv2
import numpy as np
import torch


def compress(images: torch.Tensor, quality: np.ndarray) -> torch.Tensor:
    """Images (N, 3, S, S) float32 0..1 -> as they come out of a JPEG file of ``quality`` (N,), 1 to 100 as in libjpeg;
    above that they stay as they are."""
    compressed = images.clone()
    for number in np.flatnonzero(quality <= 100):
        pixels = (images[number] * 255 + 0.5).byte().permute(1, 2, 0).flip(-1).cpu().numpy()  # OpenCV's are BGR
        _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, round(quality[number])])
        decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
        compressed[number] = torch.from_numpy(decoded).to(images).flip(-1).permute(2, 0, 1) / 255
    return compressed

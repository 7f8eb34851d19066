"""Matches between neighboring views by LoFTR (arXiv 2104.00680), which kornia runs: for surfaces with little texture.

Used where its weights are installed, as ``loftr_indoor_ds_new.ckpt`` or as safetensors; One-2-3-45 estimates the
elevation with them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from ..errors import ErrorCode, UserError
from ..io.checkpoint import read_checkpoint
from ..io.tensors import state_dict_mismatch
from ..paths import weights_folder
from .matches import IMAGE_WIDTH, VIEW_PAIRS, Matches

if TYPE_CHECKING:
    from kornia.feature import LoFTR

MATCHING_WIDTH = 480
"""Width and height in pixels of the images that the network sees."""
WHITE = 245
"""A pixel is background when all its channels are above this, of 255."""


def find_weights() -> Path | None:
    """The weight file, if one is installed."""
    folder = weights_folder() / "loftr"
    files = (file for suffix in ("safetensors", "ckpt", "pth") for file in sorted(folder.glob(f"*.{suffix}")))
    return next(files, None)


def load_network(path: Path, device: torch.device | str = "cpu") -> LoFTR:
    """The network in float32, for inference, with the weights in ``path``.

    Raises UserError (those of ``read_checkpoint``, ``weights_mismatch``).
    """
    from kornia.feature.loftr import LoFTR  # takes half a second, and few have its weights
    from kornia.feature.loftr.loftr import default_cfg

    tensors = read_checkpoint(path)
    tensors = tensors.get("state_dict", tensors)
    config = copy.deepcopy(default_cfg)
    config["coarse"]["temp_bug_fix"] = True  # these weights were trained with the corrected position encoding
    network = LoFTR(None, config)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    mismatch = state_dict_mismatch(expected, {name: getattr(tensor, "shape", ()) for name, tensor in tensors.items()})
    if mismatch:
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH,
            f"{path} is not a LoFTR checkpoint (it {mismatch}): install the original file, or delete this one.",
        )
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval().to(device)


@torch.inference_mode()
def match_images(network: LoFTR, images: np.ndarray, reference_mode: bool = False) -> Matches:
    """Images (4, H, W, 3) 0..1 on white, in the order of ``camera.NEIGHBORS`` -> their pairwise matches.

    A match has to lie on the object in both images. ``reference_mode`` repeats a slip of the reference: in the first
    image it tests the pixel at the row of the first point and the column of the second.
    """
    size = images.shape[1]
    images_8_bit = np.floor(images * 255 + 1e-3).astype(np.uint8)
    foreground = [(image.min(-1) <= WHITE) for image in images_8_bit]
    device = next(network.parameters()).device
    features = [network.extract_features(_to_gray(image).to(device)) for image in images_8_bit]
    matches = {}
    for first, second in VIEW_PAIRS:
        output = network({"features0": features[first], "features1": features[second]})
        points, other_points = (
            output[name].double().cpu().numpy() / MATCHING_WIDTH for name in ("keypoints0", "keypoints1")
        )
        column, row = _to_pixels(points, size)
        other_column, other_row = _to_pixels(other_points, size)
        on_object = (
            foreground[first][row, other_column if reference_mode else column]
            & foreground[second][other_row, other_column]
        )
        confidence = output["confidence"].double().cpu().numpy()[:, None]
        rows = np.hstack([points * IMAGE_WIDTH, other_points * IMAGE_WIDTH, confidence])
        matches[first, second] = rows[on_object]
    return matches


def _to_gray(image: np.ndarray) -> torch.Tensor:
    """Image (H, W, 3) uint8 -> (1, 1, MATCHING_WIDTH, MATCHING_WIDTH) float32 0..1."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, (MATCHING_WIDTH, MATCHING_WIDTH), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(gray)[None, None].float() / 255


def _to_pixels(positions: np.ndarray, size: int) -> np.ndarray:
    """Positions (P, 2) in image widths -> columns and rows (2, P) of the pixels that contain them."""
    return np.clip((positions * size).astype(int), 0, size - 1).T

"""LoFTR (arXiv 2104.00680), run by kornia: matches between pictures that have little texture.

Used where its weights are on disk, as ``loftr_indoor_ds_new.ckpt`` or as safetensors; One-2-3-45 finds the elevation
with them.
"""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import torch
from kornia.feature.loftr import LoFTR
from kornia.feature.loftr.loftr import default_cfg

from ..errors import ErrorCode, UserError
from ..io.checkpoint import read_checkpoint
from ..io.tensors import misfit
from ..paths import data_folder
from .epipolar import PAIRS, REFERENCE_WIDTH, Matches

SIDE = 480
"""Pixels along a side of the pictures that are matched."""
WHITE = 245
"""A pixel is background when all its channels are above this, of 255."""


def find() -> Path | None:
    """The weight file, if one is installed."""
    folder = data_folder() / "weights" / "loftr"
    return next((path for kind in ("safetensors", "ckpt", "pth") for path in sorted(folder.glob(f"*.{kind}"))), None)


def load(path: Path, device: torch.device | str = "cpu") -> LoFTR:
    """The network with the weights in ``path``, in float32. Raises UserError."""
    tensors = read_checkpoint(path)
    tensors = tensors.get("state_dict", tensors)
    config = copy.deepcopy(default_cfg)
    config["coarse"]["temp_bug_fix"] = True  # these weights were trained with the position code mended
    network = LoFTR(None, config)
    expected = {name: tensor.shape for name, tensor in network.state_dict().items()}
    wrong = misfit(expected, {name: getattr(tensor, "shape", ()) for name, tensor in tensors.items()})
    if wrong:
        raise UserError(
            ErrorCode.WEIGHTS_MISMATCH, f"{path} holds no LoFTR weights: it {wrong}. Get the right file, or remove it."
        )
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval().to(device)


@torch.inference_mode()
def match(network: LoFTR, images: np.ndarray, faithful: bool = False) -> Matches:
    """Matches between the four images (4, H, W, 3) 0..1 on white, as ``elevation.match`` returns them.

    ``faithful`` asks, as the original does, whether a match is on the object at the row of its first and the column of
    its second point, instead of at the first.
    """
    size = images.shape[1]
    pictures = np.floor(images * 255 + 1e-3).astype(np.uint8)
    solid = [(picture.min(-1) <= WHITE) for picture in pictures]
    device = next(network.parameters()).device
    features = [network.extract_features(_gray(picture).to(device)) for picture in pictures]
    found = {}
    for first, second in PAIRS:
        answer = network({"features0": features[first], "features1": features[second]})
        one, two = (answer[name].double().cpu().numpy() / SIDE for name in ("keypoints0", "keypoints1"))
        column, row = _pixels(one, size)
        other_column, other_row = _pixels(two, size)
        on_object = solid[first][row, other_column if faithful else column] & solid[second][other_row, other_column]
        confidence = answer["confidence"].double().cpu().numpy()[:, None]
        rows = np.hstack([one * REFERENCE_WIDTH, two * REFERENCE_WIDTH, confidence])
        found[first, second] = rows[on_object]
    return found


def _gray(picture: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (1, 1, SIDE, SIDE) float32 0..1."""
    gray = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(gray)[None, None].float() / 255


def _pixels(places: np.ndarray, size: int) -> np.ndarray:
    """Places (P, 2) in picture widths -> columns and rows (2, P) of the pixels they lie in."""
    return np.clip((places * size).astype(int), 0, size - 1).T

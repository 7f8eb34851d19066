"""The starter surface network's shape, where its weights come from, and its folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from backend.io.tensors import write_tensors
from backend.paths import STARTER_WEIGHTS
from backend.surface.network import SurfaceNetwork, load
from training.checkpoint import has_checkpoint, load_checkpoint
from training.config import SurfaceConfig

CONFIG = {
    "image_size": 128,
    "features": 24,
    "depths": 4,
    "channels": [32, 64, 128, 192],
    "resolution": 64,
    "half_side": 0.6,
    "hidden": 64,
}


def load_network(source: str | Path, device: str | torch.device = "cpu") -> SurfaceNetwork:
    """The network that ``source`` names: "starter", a checkpoint of ``training.surface``, or a folder of weights.

    Raises UserError for missing or broken weights, ValueError for another network's checkpoint.
    """
    if source == "starter":
        return load(STARTER_WEIGHTS / "surface", device)
    if not has_checkpoint(Path(source)):
        return load(source, device)
    checkpoint = load_checkpoint(Path(source))
    if not isinstance(checkpoint.config, SurfaceConfig):
        raise ValueError(f"{source} is a checkpoint of another network: name one of training.surface.")
    network = SurfaceNetwork(**CONFIG | {"resolution": checkpoint.config.resolution})
    network.load_state_dict(checkpoint.averaged)
    return network.requires_grad_(False).eval().to(device)


def save(network: SurfaceNetwork, folder: Path, quantize: bool) -> None:
    """Write the folder that ``backend.surface.load`` reads."""
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors, quantize)
    config = CONFIG | {"resolution": network.resolution}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

"""The starter surface network's shape, and its folder."""

from __future__ import annotations

import json
from pathlib import Path

from backend.io.tensors import write_tensors
from backend.surface.network import SurfaceNetwork

CONFIG = {
    "image_size": 128,
    "features": 24,
    "depths": 4,
    "channels": [32, 64, 128, 192],
    "resolution": 64,
    "half_side": 0.6,
    "hidden": 64,
}


def save(network: SurfaceNetwork, folder: Path, quantize: bool) -> None:
    """Write the folder that ``backend.surface.load`` reads."""
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    write_tensors(folder / "model.safetensors", tensors, quantize)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")

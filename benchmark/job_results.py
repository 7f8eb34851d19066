"""What a job of the pipeline left in its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from backend.data_types import Mesh, TexturedMesh


def load_textured_mesh(folder: Path) -> TexturedMesh:
    """The textured mesh, before it was turned for the glTF file."""
    with np.load(folder / "mesh.npz") as arrays:
        mesh, uvs = Mesh(arrays["vertices"], arrays["faces"]), arrays["uvs"]
    texture, confidence = (np.asarray(Image.open(folder / f"{name}.png")) for name in ("texture", "confidence"))
    return TexturedMesh(mesh, uvs, texture, confidence)


def load_views(folder: Path) -> dict[str, np.ndarray]:
    """The input image and the generated views by name: (S, S, 3) uint8 on white."""
    with np.load(folder / "views.npz") as arrays:
        return dict(zip(arrays["names"].tolist(), arrays["images"], strict=True))

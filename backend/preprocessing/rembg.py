"""Which pixels belong to the object, by a background-removal model of rembg that is on disk.

rembg itself is not needed: its model files run in onnxruntime with the same numbers before and after.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import ErrorCode, UserError
from ..paths import data_folder


class _Model(NamedTuple):
    """How rembg (2.0.86) feeds a model and reads it."""

    name: str
    size: int = 320
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    gives_logits: bool = False


MODELS = (
    _Model("birefnet-general", 1024, gives_logits=True),
    _Model("isnet-general-use", 1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    _Model("u2net"),
    _Model("u2netp"),
    _Model("silueta"),
)
"""rembg's models that suit any object, best first."""


def find_alpha(color: np.ndarray) -> np.ndarray | None:
    """(H, W, 3) float32 sRGB 0..1 -> alpha (H, W) float32 0..1 by the best model on disk, or None where there is none.

    Nothing is ever downloaded or sent. Raises UserError ``rembg_failed``, which names the file, when it cannot be used.
    """
    found = ((model, file) for model in MODELS for file in _places(model.name) if file.is_file())
    model, file = next(found, (None, None))
    if model is None:
        return None
    picture = Image.fromarray(np.round(color * 255).astype(np.uint8))
    try:
        prediction = _run(file, _network_input(picture, model))
    except Exception as error:  # onnxruntime's own errors have no other base
        raise UserError(
            ErrorCode.REMBG_FAILED,
            f"The background-removal model {file} could not be used ({type(error).__name__}). "
            "Replace or remove it; without it the object is cut out in a simpler way.",
        ) from error
    if model.gives_logits:
        prediction = 0.5 + 0.5 * np.tanh(prediction / 2)  # the sigmoid, without overflow
    low, high = float(prediction.min()), float(prediction.max())
    mask = (prediction - low) / max(high - low, 1e-6)
    small = Image.fromarray((mask * 255).astype(np.uint8))
    return np.asarray(small.resize(picture.size, Image.Resampling.LANCZOS), np.float32) / 255


def _places(name: str) -> list[Path]:
    """Ours, then where rembg looks for a model: in one folder for each, which came later, then in one for all."""
    given, data = os.environ.get("U2NET_HOME"), os.environ.get("XDG_DATA_HOME")
    old = given or Path(data or "~", ".u2net")
    new = given or os.environ.get("REMBG_HOME") or (Path(data, "rembg") if data else "~/.rembg")
    ours = data_folder() / "weights" / name / f"{name}.onnx"
    places = ours, Path(new, "models", name, f"{name}.onnx"), Path(old, f"{name}.onnx")
    return [place.expanduser() for place in places]


def _network_input(picture: Image.Image, model: _Model) -> np.ndarray:
    """8-bit RGB picture -> (1, 3, size, size) float32, its brightest value scaled to 1, then normalized."""
    pixels = np.asarray(picture.resize((model.size, model.size), Image.Resampling.LANCZOS), np.float64)
    pixels = (pixels / max(pixels.max(), 1e-6) - model.mean) / model.deviation
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def _run(file: Path, pixels: np.ndarray) -> np.ndarray:
    """The model's first output (1, 1, h, w) for ``pixels`` -> (h, w); ValueError where it is no mask."""
    session = _session(file)
    output = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: pixels})[0]
    if output.ndim != 4 or output.shape[:2] != (1, 1) or not np.isfinite(output).all():
        raise ValueError(f"no mask: {output.shape}")
    return output[0, 0]


def check(file: Path) -> None:
    """Raises UserError (``weights_broken``) where the file of one of MODELS makes no mask of a plain picture."""
    model = next(model for model in MODELS if model.name == file.stem)
    try:
        _run(file, np.zeros((1, 3, model.size, model.size), np.float32))
    except Exception as error:  # onnxruntime's own errors have no other base
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{file.name} is no model that can be used: get it again.") from error


def _session(file: Path):
    # Only before the import does this keep onnxruntime from sending reports to Microsoft and from filing an identifier.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; it need not stand on stderr as well
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

"""The object's alpha by a background-removal model of rembg that is on disk.

rembg itself is not needed: its model files run in onnxruntime, with the same preprocessing and postprocessing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from PIL import Image

from ..errors import ErrorCode, UserError
from ..library_variables import disable_telemetry
from ..paths import weights_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class Prediction(NamedTuple):
    """What a model sees in an image."""

    alpha: np.ndarray
    """(H, W) float32, stretched to 0..1 as in rembg."""
    peak: float
    """The largest value before it was stretched: about 1 on an object, nearly 0 where there is none."""


class Model(NamedTuple):
    """How rembg (2.0.86) prepares the input of a model and reads its output."""

    name: str
    size: int = 320
    """Width and height of the input in pixels."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    outputs_logits: bool = False


MODELS = (
    Model("birefnet-general", 1024, outputs_logits=True),
    Model("isnet-general-use", 1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    Model("u2net"),
    Model("silueta"),
    Model("u2netp"),
)
"""rembg's models that suit any object, best first. The last one is installed with the environment."""


class Predictor:
    """A background-removal model, ready to run."""

    def __init__(self, model: Model, file: Path):
        """Raises UserError ``rembg_failed``, which names the file, when it cannot be used; so does ``predict``."""
        self._model, self._file = model, file
        try:
            self._session = _open_session(file)
        except Exception as error:  # onnxruntime's own errors have no other base
            raise self._failure(error) from error

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def size(self) -> int:
        """Width and height, in pixels, of what the network sees."""
        return self._model.size

    def predict(self, color: np.ndarray) -> Prediction:
        """Image (H, W, 3) float32 sRGB 0..1 -> the object's alpha."""
        image = Image.fromarray(cv2.convertScaleAbs(color, alpha=255))
        try:
            output = _run(self._session, _network_input(image, self._model))
        except Exception as error:  # onnxruntime's own errors have no other base
            raise self._failure(error) from error
        if self._model.outputs_logits:
            output = 0.5 + 0.5 * np.tanh(output / 2)  # the sigmoid, without overflow
        low, high = float(output.min()), float(output.max())
        mask = (output - low) / max(high - low, 1e-6)
        small = Image.fromarray((mask * 255).astype(np.uint8))
        return Prediction(np.asarray(small.resize(image.size, Image.Resampling.LANCZOS), np.float32) / 255, high)

    def _failure(self, error: Exception) -> UserError:
        return UserError(
            ErrorCode.REMBG_FAILED,
            f"The background-removal model {self._file} could not be used ({type(error).__name__}): "
            "replace or delete it. Without it a simpler method is used.",
        )


def load_predictor() -> Predictor | None:
    """The best model on disk; None without one. Nothing is ever downloaded or sent. Raises UserError."""
    for model in MODELS:
        for file in _candidate_files(model.name):
            if file.is_file():
                return Predictor(model, file)
    return None


def check_model(file: Path) -> None:
    """Run the file of one of ``MODELS`` once. Raises UserError (``weights_broken``) where it outputs no mask."""
    model = next(model for model in MODELS if model.name == file.stem)
    try:
        _run(_open_session(file), np.zeros((1, 3, model.size, model.size), np.float32))
    except Exception as error:  # onnxruntime's own errors have no other base
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{file.name} is not a usable model: download it again.") from error


def _candidate_files(name: str) -> list[Path]:
    """Our file, then those of rembg: in a folder for each model (newer versions), then in one folder for all."""
    u2net_home, data_home = os.environ.get("U2NET_HOME"), os.environ.get("XDG_DATA_HOME")
    older = u2net_home or Path(data_home or "~", ".u2net")
    newer = u2net_home or os.environ.get("REMBG_HOME") or (Path(data_home, "rembg") if data_home else "~/.rembg")
    ours = weights_folder() / name / f"{name}.onnx"
    candidates = ours, Path(newer, "models", name, f"{name}.onnx"), Path(older, f"{name}.onnx")
    return [candidate.expanduser() for candidate in candidates]


def _network_input(image: Image.Image, model: Model) -> np.ndarray:
    """8-bit RGB image -> (1, 3, size, size) float32, its brightest value scaled to 1, then normalized."""
    pixels = np.asarray(image.resize((model.size, model.size), Image.Resampling.LANCZOS), np.float64)
    pixels = (pixels / max(pixels.max(), 1e-6) - model.mean) / model.deviation
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def _run(session: InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """The model's first output (1, 1, h, w) for ``pixels`` (1, 3, H, W) -> (h, w). Raises ValueError for no mask."""
    output = np.asarray(session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: pixels})[0])
    if output.ndim != 4 or output.shape[:2] != (1, 1) or not np.isfinite(output).all():
        raise ValueError(f"no mask: {output.shape}")
    return output[0, 0]


def _open_session(file: Path) -> InferenceSession:
    disable_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; they need not appear on stderr as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it takes processor time from others
    options.enable_mem_pattern = False  # it is for many runs: the second one would take 200 MB more, and a fifth longer
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal():  # PyTorch obeys this limit, onnxruntime does not read it
        options.intra_op_num_threads = int(threads)
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

"""What a job's folder holds for later: all that remeshing starts from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..data_types import Cutout, Field, Views
from ..errors import ErrorCode, UserError
from ..input_files import check_regular_file, read_json
from .tensors import read_tensors, write_tensors

FIELD_FILE = "field.safetensors"
VIEWS_FILE = "views.npz"
REPORT_FILE = "report.json"
DEVICES = ("cpu", "cuda", "mps")


def save_state(folder: Path, field: Field, views: Views, cutout: Cutout) -> None:
    """Write what remeshing starts from: the tensors of the field, and views and cutout with 8 bits a channel."""
    write_tensors(folder / FIELD_FILE, field.tensors(), quantize=False)
    np.savez_compressed(
        folder / VIEWS_FILE,
        images=_to_8_bit(views.images),
        masks=_to_8_bit(views.masks),
        camera_to_world=views.camera_to_world,
        names=np.array(views.names),
        cutout=_to_8_bit(cutout.image),
        method=np.array(cutout.method),
        canvas=np.array(cutout.canvas),
    )


def load_state(folder: Path) -> tuple[dict[str, torch.Tensor], Views, Cutout, dict]:
    """What ``save_state`` wrote and the job's report, all checked. Raises UserError (``no_state``)."""
    try:
        with np.load(check_regular_file(folder / VIEWS_FILE)) as arrays:
            views = Views(
                _from_8_bit(arrays["images"]),
                _from_8_bit(arrays["masks"]),
                arrays["camera_to_world"],
                tuple(map(str, arrays["names"].tolist())),
            )
            cutout = Cutout(_from_8_bit(arrays["cutout"]), str(arrays["method"]), tuple(arrays["canvas"].tolist()))
        report = read_json(folder / REPORT_FILE)
        _check_state(views, cutout, report)
        field_tensors = read_tensors(folder / FIELD_FILE)
    except Exception as error:  # damage shows as whatever the first wrong byte happens to mean
        raise damaged_state(folder) from error
    return field_tensors, views, cutout, report


def damaged_state(folder: Path) -> UserError:
    """The error for a job folder whose files are not what ``save_state`` wrote."""
    return UserError(
        ErrorCode.NO_STATE, f"The earlier result in {folder} is missing or damaged: generate the object again."
    )


def _check_state(views: Views, cutout: Cutout, report: dict) -> None:
    """Raises whatever the first wrong value leads to."""
    count, size = views.images.shape[:2]
    expected = {
        "images": (views.images.shape, (count, size, size, 3)),
        "masks": (views.masks.shape, (count, size, size)),
        "cameras": (views.camera_to_world.shape, (count, 4, 4)),
        "names": (len(views.names), count),
        "cutout": (cutout.image.shape, (len(cutout.image), len(cutout.image), 4)),
    }
    wrong = [name for name, (actual, right) in expected.items() if actual != right]
    rotations = views.camera_to_world[:, :3, :3]
    if not np.allclose(rotations.transpose(0, 2, 1) @ rotations, np.eye(3), atol=1e-2):
        wrong.append("rotations")
    left, top, side = cutout.canvas
    numbers = left, top, side, report["elevation"]["degrees"], *views.camera_to_world.ravel().tolist()
    is_sound = not wrong and min(count, size, len(cutout.image)) > 0 and side > 0 and all(map(math.isfinite, numbers))
    if not is_sound or abs(report["elevation"]["degrees"]) > 90 or report["device"] not in DEVICES:
        raise ValueError(f"wrong: {wrong}")
    if not isinstance(report["options"], dict):
        raise TypeError("options")


def write_contact_sheet(path: Path, images: np.ndarray) -> None:
    """Images (N, H, W, 3) as one image, about square, as panels show images."""
    columns = math.ceil(math.sqrt(len(images)))
    blank = np.ones((-len(images) % columns, *images.shape[1:]), np.float32)
    rows = np.concatenate([images, blank]).reshape(-1, columns, *images.shape[1:])
    sheet = rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * images.shape[2], 3)
    Image.fromarray(_to_8_bit(sheet)).save(path)


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    return np.round(values * 255).astype(np.uint8)


def _from_8_bit(values: np.ndarray) -> np.ndarray:
    if values.dtype != np.uint8:
        raise ValueError(f"8 bits a channel are expected, not {values.dtype}")
    return values.astype(np.float32) / 255

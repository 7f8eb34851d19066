"""A job's folder: nothing half-written is ever seen in it, and what rework needs is kept in it."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..errors import ErrorCode, UserError
from ..protocol import PARTIAL
from ..surface import VolumeField, load_field
from ..types import Cutout, Field, Views
from .tensors import write_tensors


@contextlib.contextmanager
def partial(folder: Path) -> Iterator[Path]:
    """A place for a job's files: on success all move into ``folder`` at once, on any error all are gone.

    What an earlier process left there when it was killed is removed. A folder that was made for this job goes too.
    """
    existed = folder.is_dir()
    place = folder / PARTIAL
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
        for file in sorted(place.iterdir()):
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # with results in it, it stays
                folder.rmdir()


def keep(place: Path, field: Field, views: Views, cutout: Cutout) -> None:
    """Write what rework starts from: ``field.safetensors`` and ``views.npz`` (pictures in 8 bits)."""
    write_tensors(place / "field.safetensors", field.tensors(), quantize=False)
    np.savez_compressed(
        place / "views.npz",
        images=_to_8_bit(views.images),
        masks=_to_8_bit(views.masks),
        camera_to_world=views.camera_to_world,
        names=np.array(views.names),
        cutout=_to_8_bit(cutout.image),
        method=np.array(cutout.method),
        canvas=np.array(cutout.canvas),
    )


def write_sheet(path: Path, views: Views) -> None:
    """All views side by side, in the order of their names, as one picture."""
    across = math.ceil(math.sqrt(2 * len(views.images)))
    blank = np.ones((-len(views.images) % across, *views.images.shape[1:]), np.float32)
    rows = np.concatenate([views.images, blank]).reshape(-1, across, *views.images.shape[1:])
    sheet = rows.transpose(0, 2, 1, 3, 4).reshape(-1, across * views.images.shape[2], 3)
    Image.fromarray(_to_8_bit(sheet)).save(path)


def kept(folder: Path, device: torch.device) -> tuple[VolumeField, Views, Cutout, dict]:
    """What ``keep`` wrote and the report of the earlier job. Raises UserError (``nothing_kept``)."""
    try:
        with np.load(folder / "views.npz") as arrays:
            views = Views(
                _from_8_bit(arrays["images"]),
                _from_8_bit(arrays["masks"]),
                arrays["camera_to_world"],
                tuple(arrays["names"].tolist()),
            )
            cutout = Cutout(_from_8_bit(arrays["cutout"]), str(arrays["method"]), tuple(arrays["canvas"].tolist()))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        field = load_field(folder / "field.safetensors", device)
    except (OSError, ValueError, KeyError, EOFError, UserError) as error:
        raise UserError(
            ErrorCode.NOTHING_KEPT, f"The earlier result in {folder} is gone or damaged: generate the object again."
        ) from error
    return field, views, cutout, report


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    return np.round(values * 255).astype(np.uint8)


def _from_8_bit(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / 255

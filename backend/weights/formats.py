"""What kind of weights a file or folder from anywhere holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..input_files import check_weights_path
from ..io.checkpoint import read_checkpoint
from ..io.impostors import describe_impostor
from ..surface.one2345 import loading as one2345
from ..views.zero123 import convert as zero123
from ..views.zero123.loading import projection_folder
from . import writers
from .writers import WriteTask

_LOFTR_KEYS = ("backbone.conv1.weight", "loftr_coarse.layers.0.q_proj.weight")
"""Tensors by which LoFTR's weights are recognized."""


@dataclass(frozen=True)
class Format:
    """One of the forms that weights come in."""

    kind: str
    """One of ``catalog.KINDS``."""
    write: Callable[[WriteTask], None]
    """Copies or converts the source into a new folder. Raises UserError."""
    check: Callable[[Path], object]
    """Loads the new folder as a job would. Raises UserError."""


VIEW_FOLDER = Format("view", writers.write_view_folder, writers.check_view)
VIEW_CHECKPOINT = Format("view", writers.write_view_checkpoint, writers.check_view)
SURFACE_FOLDER = Format("surface", writers.write_surface_folder, writers.check_surface)
SURFACE_CHECKPOINT = Format("surface", writers.write_surface_checkpoint, writers.check_surface)
BUNDLE = Format("bundle", writers.write_bundle, writers.check_bundle)
MATCHER = Format("matcher", writers.write_matcher, writers.check_matcher)
MASK = Format("mask", writers.write_mask, writers.check_mask)
TEXT_TO_IMAGE = Format("text-to-image", writers.write_text_to_image, writers.check_text_to_image)


def detect_format(path: Path) -> Format:
    """The format of the file or folder ``path``, by what is inside.

    Raises UserError (``weights_missing``, ``weights_unknown``, and those of ``read_checkpoint``).
    """
    if path.is_dir():
        return _detect_folder_format(path)
    check_weights_path(path)
    if impostor := describe_impostor(path):
        raise UserError(ErrorCode.WEIGHTS_BROKEN, f"{path} {impostor}.")
    if path.suffix == ".onnx":
        return MASK
    content = read_checkpoint(path)
    state = content.get("state_dict", content)
    keys = {str(key) for key in (state if isinstance(state, dict) else content)}
    if zero123.has_zero123_keys(keys):
        if not any("cc_projection" in key for key in keys):
            raise UserError(
                ErrorCode.WEIGHTS_UNKNOWN,
                f"{path} is a Stable Diffusion checkpoint, but not one of Zero123 (it has no cc_projection): get one "
                "of the catalog, or for Text to Mesh a Stable Diffusion folder in diffusers' layout.",
            )
        return VIEW_CHECKPOINT
    if all(key in keys for key in _LOFTR_KEYS):
        return MATCHER
    if one2345.recognize({str(key) for key in content}):
        return SURFACE_CHECKPOINT
    raise UserError(
        ErrorCode.WEIGHTS_UNKNOWN,
        f"{path} is not a supported checkpoint (Zero123, One-2-3-45, LoFTR, a rembg model, a "
        "text-to-image folder): download the original file.",
    )


def _detect_folder_format(path: Path) -> Format:
    if (path / "unet").is_dir() and projection_folder(path):
        return VIEW_FOLDER
    if (path / "view").is_dir() and (path / "surface").is_dir():
        return BUNDLE
    if (path / "model_index.json").is_file():
        return TEXT_TO_IMAGE
    if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
        return SURFACE_FOLDER
    raise UserError(
        ErrorCode.WEIGHTS_UNKNOWN,
        f"The folder {path} contains no supported weights (a Zero123 or a text-to-image folder of "
        "diffusers, a folder with view and surface): choose the folder that holds model_index.json, or a file.",
    )

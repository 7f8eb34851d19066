"""Words -> a picture of one object, by any text-to-image model in diffusers' layout. Nothing is downloaded here."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from PIL import Image
from transformers.utils import logging

from .errors import ErrorCode, UserError
from .progress import OnProgress
from .types import Cutout
from .weights.catalog import catalog, installed

KIND = "text-to-image"
AUTO = "auto"
AROUND = (
    "{}, single object, centred, whole object visible, three-quarter view from slightly above, plain white background, "
    "even soft studio lighting, no shadow, 3D render"
)
"""What makes a picture of it that can be turned into a mesh. Its spelling stays: another gives other pictures."""
AVOIDED = "multiple objects, cropped, text, watermark, background scene, floor, strong shadow, hands"
"""Told to models that listen to it: those with guidance."""
TRIES = 3
"""Pictures painted at most until one shows a whole object."""
RECIPES = {
    "Flux2KleinPipeline": (4, 1.0),
    "FluxPipeline": (4, 0.0),
    "PRXPipeline": (28, 5.0),
    "StableDiffusionPipeline": (25, 7.5),
    "StableDiffusionXLPipeline": (30, 6.0),
    "ZImagePipeline": (8, 0.0),
}
"""Pipeline class -> steps and guidance; others, and versions that are not distilled, take their class's own."""


def locate(name: str) -> Path:
    """The folder of a model: ``auto`` (what is installed), an installed name, a folder's path, or a hub id in the
    hub's cache. Raises UserError (``no_text_model``, ``weights_missing``)."""
    there = {each.name: each.folder for each in installed().values() if each.kind == KIND}
    if name == AUTO:
        known = [each for each in catalog() if each in there] or list(there)
        if not known:
            raise _none_installed()
        return there[known[0]]
    if name in there:
        return there[name]
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        way = f"“python3 -m backend weights fetch {name}”" if name in catalog() else f"“hf download {name}”"
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"The text-to-image model “{name}” is not on this computer: get it with {way}."
        ) from error


def paint(
    folder: Path,
    text: str,
    seed: int,
    device: torch.device,
    rating: Callable[[Image.Image], int],
    on_progress: OnProgress,
) -> Image.Image:
    """A picture of what ``text`` says by the model in ``folder``, which is loaded for it and dropped again.

    ``rating`` of a picture: 2 is good, 0 useless; of a few pictures the best is taken, the first good one at once.
    ``on_progress``: called after every step. Raises UserError.
    """
    pipeline = _load(folder, device)
    found: dict[int, Image.Image] = {}
    for attempt in range(TRIES):

        def advance(fraction: float, attempt: int = attempt) -> None:
            on_progress((attempt + fraction) / TRIES)

        picture = _paint(pipeline, text, seed + attempt, advance)
        found.setdefault(rating(picture), picture)
        if 2 in found:
            break
    if max(found) == 0:
        raise UserError(
            ErrorCode.NO_OBJECT,
            f"None of {TRIES} pictures of “{text}” shows a single object: say it in other words, or choose another "
            "seed.",
        )
    return found[max(found)]


def is_whole(cutout: Cutout, height: int, width: int) -> bool:
    """Whether the picture (``height`` x ``width``) shows all of a reasonably large object: not cut off by its border,
    5 to 90 % of its area."""
    left, top, side = cutout.canvas
    scale = side / len(cutout.image)
    solid = cutout.image[..., 3] > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    inside = (
        top + rows[0] * scale >= 1
        and left + columns[0] * scale >= 1
        and top + (rows[-1] + 1) * scale <= height - 1
        and left + (columns[-1] + 1) * scale <= width - 1
    )
    return bool(inside and 0.05 <= solid.sum() * scale**2 / (height * width) <= 0.9)


def _load(folder: Path, device: torch.device) -> DiffusionPipeline:
    """The model, ready to paint. Files that could hold programs (pickles) are refused. Raises UserError."""
    logging.set_verbosity_error()  # or it complains about image processors that nothing here uses
    logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    from diffusers import AutoPipelineForText2Image  # brings every pipeline of diffusers along: seconds

    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        more = {}
        if "safety_checker" in index and not any(folder.glob("safety_checker/*.safetensors")):
            more = {"safety_checker": None, "requires_safety_checker": False}
        parts = [name for name, value in index.items() if isinstance(value, list) and all(value) and name not in more]
        for name in parts:
            if not (folder / name).is_dir():  # some would be made up instead
                raise OSError(f"{name} is missing")
        if _only_half(folder):
            more["variant"] = "fp16"
        pipeline = AutoPipelineForText2Image.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=_precision(index, device), **more
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError) as error:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"The text-to-image model in {folder} cannot be loaded; it has to be a complete diffusers folder with "
            "safetensors files: install it again, or choose another.",
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _paint(pipeline: DiffusionPipeline, text: str, seed: int, on_progress: OnProgress) -> Image.Image:
    takes = inspect.signature(pipeline.__call__).parameters
    steps, guidance = _recipe(pipeline) or (takes["num_inference_steps"].default, takes["guidance_scale"].default)
    more = {} if guidance is None else {"guidance_scale": guidance}
    if "negative_prompt" in takes and guidance and guidance > 1:
        more["negative_prompt"] = AVOIDED
    if "callback_on_step_end" in takes:

        def told(_, step: int, __, values: dict) -> dict:
            on_progress((step + 1) / steps)
            return values

        more["callback_on_step_end"] = told
    generator = torch.Generator().manual_seed(seed)
    return pipeline(AROUND.format(text), num_inference_steps=steps, generator=generator, **more).images[0]


def _recipe(pipeline: DiffusionPipeline) -> tuple[int, float] | None:
    name = type(pipeline).__name__
    undistilled = (name == "FluxPipeline" and pipeline.transformer.config.guidance_embeds) or (
        name == "Flux2KleinPipeline" and not pipeline.config.is_distilled
    )
    return None if undistilled else RECIPES.get(name)


def _precision(index: dict, device: torch.device) -> torch.dtype:
    """16 bits on a graphics card; in bfloat16 for the transformers, several of which overflow in float16."""
    if device.type != "cuda":
        return torch.float32
    return torch.float16 if "unet" in index else torch.bfloat16


def _only_half(folder: Path) -> bool:
    """Whether the weights are there in their fp16 variant alone."""
    names = [path.name for part in ("unet", "transformer") for path in folder.glob(f"{part}/*.safetensors")]
    return bool(names) and all(".fp16." in name for name in names)


def _none_installed() -> UserError:
    default = next(each for each in catalog().values() if each.kind == KIND)
    return UserError(
        ErrorCode.NO_TEXT_MODEL,
        "No model that paints pictures from words is installed: get one in the extension's preferences or with "
        f"“python3 -m backend weights fetch {default.name}” ({default.bytes / 1e9:.0f} GB, {default.license}), "
        "or name a diffusers folder as the text model.",
    )

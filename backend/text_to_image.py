"""A text prompt -> an image of one object, by any text-to-image model in diffusers' layout. Downloads nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from PIL import Image

from .data_types import Cutout
from .errors import ErrorCode, UserError
from .input_files import read_json
from .paths import expand_user, safe_join
from .progress import OnProgress
from .weights.catalog import load_catalog
from .weights.registry import installed_weights

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

KIND = "text-to-image"
AUTO = "auto"
PROMPT_TEMPLATE = (
    "{}, single object, centred, whole object visible, three-quarter view from slightly above, plain white background, "
    "even soft studio lighting, no shadow, 3D render"
)
"""Asks for an image that can be turned into a mesh. Every letter of it decides what a seed gives: leave it as it is."""
NEGATIVE_PROMPT = "multiple objects, cropped, text, watermark, background scene, floor, strong shadow, hands"
"""For models that take one: those with classifier-free guidance."""
MAX_ATTEMPTS = 3
"""Images generated at most until one shows a whole object."""
STEPS_AND_GUIDANCE = {
    "Flux2KleinPipeline": (4, 1.0),
    "FluxPipeline": (4, 0.0),
    "PRXPipeline": (28, 5.0),
    "StableDiffusionPipeline": (25, 7.5),
    "StableDiffusionXLPipeline": (30, 6.0),
    "ZImagePipeline": (8, 0.0),
}
"""Pipeline class -> steps and guidance scale; others, and versions that are not distilled, take their class's own."""


def locate_model(name: str) -> Path:
    """The folder of a model: ``auto`` (the best installed one), an installed name, a folder's path, or a hub id that
    the hub's cache has.

    Raises UserError (``no_text_model``, ``weights_missing``).
    """
    folders = {weights.name: weights.folder for weights in installed_weights().values() if weights.kind == KIND}
    catalog = load_catalog()
    if name == AUTO:
        preferred = [known for known in catalog if known in folders] or list(folders)
        if not preferred:
            raise _none_installed()
        return folders[preferred[0]]
    if name in folders:
        return folders[name]
    folder = expand_user(name)
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The text-to-image model “{name}” is not on this computer: install it first, or choose another one.",
            command=f"python3 -m backend weights fetch {name}" if name in catalog else f"hf download {name}",
        ) from error


def generate_image(
    folder: Path,
    prompt: str,
    seed: int,
    device: torch.device,
    rate: Callable[[Image.Image], int],
    on_progress: OnProgress,
) -> Image.Image:
    """An 8-bit RGB image of what ``prompt`` says, by the model in ``folder``, which is loaded for it and dropped again.

    ``rate`` an image: 2 is good, 1 usable, 0 useless. Of up to ``MAX_ATTEMPTS`` images the best is returned, the first
    good one at once. ``on_progress`` is called after every step.
    Raises UserError (``weights_broken``, ``no_object``).
    """
    pipeline = _load_pipeline(folder, device)
    best_by_rating: dict[int, Image.Image] = {}
    for attempt in range(MAX_ATTEMPTS):

        def on_fraction(fraction: float, attempt: int = attempt) -> None:
            on_progress((attempt + fraction) / MAX_ATTEMPTS)

        image = _sample(pipeline, prompt, seed + attempt, on_fraction)
        best_by_rating.setdefault(rate(image), image)
        if 2 in best_by_rating:
            break
    if max(best_by_rating) == 0:
        raise UserError(
            ErrorCode.NO_OBJECT,
            f"None of {MAX_ATTEMPTS} images of “{prompt}” shows a single object: use other words, or another seed.",
        )
    return best_by_rating[max(best_by_rating)]


def shows_whole_object(cutout: Cutout, height: int, width: int) -> bool:
    """Whether an image of ``height`` x ``width`` pixels shows all of a reasonably large object: not cut off by the
    image's border, 5 to 90 % of its area."""
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


def _load_pipeline(folder: Path, device: torch.device) -> DiffusionPipeline:
    """The model, ready to sample. Files that could run a program (pickles) are refused. Raises UserError."""
    from diffusers import AutoPipelineForText2Image  # imports every pipeline of diffusers, which takes seconds
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging

    logging.set_verbosity_error()  # else transformers warns about image processors that are not used here
    logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()

    try:
        index = read_json(folder / "model_index.json")
        arguments: dict[str, Any] = {}
        if "safety_checker" in index and not any(folder.glob("safety_checker/*.safetensors")):
            arguments = {"safety_checker": None, "requires_safety_checker": False}
        for name, value in index.items():
            is_component = isinstance(value, list) and all(value) and name not in arguments
            if is_component and not safe_join(folder, name).is_dir():  # diffusers would replace some by defaults
                raise OSError(f"{name} is missing")
        if _has_only_fp16_files(folder):
            arguments["variant"] = "fp16"
        pipeline = AutoPipelineForText2Image.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=_choose_dtype(index, device), **arguments
        )
    except Exception as error:
        raise UserError(
            ErrorCode.WEIGHTS_BROKEN,
            f"The text-to-image model in {folder} cannot be loaded; it must be a complete diffusers folder with "
            "safetensors files: install it again, or choose another.",
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _sample(pipeline: Any, prompt: str, seed: int, on_progress: OnProgress) -> Image.Image:
    """One image; ``on_progress`` gets the fraction of the steps that are done."""
    parameters = inspect.signature(pipeline.__call__).parameters
    own = parameters["num_inference_steps"].default, parameters["guidance_scale"].default
    steps, guidance = _steps_and_guidance(pipeline) or own
    arguments: dict[str, Any] = {} if guidance is None else {"guidance_scale": guidance}
    if "negative_prompt" in parameters and guidance and guidance > 1:
        arguments["negative_prompt"] = NEGATIVE_PROMPT
    if "callback_on_step_end" in parameters:

        def on_step_end(_, step: int, __, tensors: dict) -> dict:
            on_progress((step + 1) / steps)
            return tensors

        arguments["callback_on_step_end"] = on_step_end
    generator = torch.Generator().manual_seed(seed)
    output = pipeline(PROMPT_TEMPLATE.format(prompt), num_inference_steps=steps, generator=generator, **arguments)
    return output.images[0]


def _steps_and_guidance(pipeline: Any) -> tuple[int, float] | None:
    name = type(pipeline).__name__
    not_distilled = (name == "FluxPipeline" and pipeline.transformer.config.guidance_embeds) or (
        name == "Flux2KleinPipeline" and not pipeline.config.is_distilled
    )
    return None if not_distilled else STEPS_AND_GUIDANCE.get(name)


def _choose_dtype(index: dict, device: torch.device) -> torch.dtype:
    """16 bits on a GPU; bfloat16 for the transformers, several of which overflow in float16."""
    if device.type != "cuda":
        return torch.float32
    return torch.float16 if "unet" in index else torch.bfloat16


def _has_only_fp16_files(folder: Path) -> bool:
    """Whether the denoiser's weights are there in their fp16 variant alone."""
    components = ("unet", "transformer")
    names = [path.name for component in components for path in folder.glob(f"{component}/*.safetensors")]
    return bool(names) and all(".fp16." in name for name in names)


def _none_installed() -> UserError:
    default = next(entry for entry in load_catalog().values() if entry.kind == KIND)
    return UserError(
        ErrorCode.NO_TEXT_MODEL,
        f"No text-to-image model is installed: install one, such as {default.name} "
        f"({(default.bytes or 0) / 1e9:.0f} GB, {default.license}), or give a diffusers folder as the text model.",
        command=f"python3 -m backend weights fetch {default.name}",
    )

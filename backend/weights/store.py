"""Where weights are found, and the one file format they are kept in.

A file is safetensors; a matrix may be stored as int8 with a companion ``NAME.scale`` (float16, one per output channel,
the first dimension), which brings the starter weights to a size that can be shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..folders import data_folder
from ..protocol import UserError

STARTER = Path(__file__).resolve().parent / "starter"
SURFACE_OF_PUBLIC_VIEWS = "one2345"
_SCALE = ".scale"
_SMALLEST_SCALE = 2.0**-24
"""The smallest positive float16."""


def locate(name: str) -> Path:
    """The folder of the weights called ``name``: ``starter``, a folder's path, or what was installed under that name.

    Raises UserError (``weights_missing``).
    """
    if name == "starter":
        folder = STARTER
    else:
        folder = Path(name).expanduser()
        if not folder.is_dir():
            folder = data_folder() / "weights" / name
    if not folder.is_dir():
        raise UserError("weights_missing", f"There are no weights “{name}”: {_remedy(folder)}.")
    return folder


def parts(name: str) -> tuple[Path, Path]:
    """The folders of the view model and of the surface network that make up the weights called ``name``.

    Public view weights are installed by themselves, or are a folder of somebody's; One-2-3-45's surface network goes
    with all of them. Raises UserError (``weights_missing``).
    """
    folder = locate(name)
    view = folder / "view" if (folder / "view").is_dir() else folder
    if not (view / "unet").is_dir():
        raise UserError("weights_missing", f"The weights “{name}” draw no views: choose others, or “starter”.")
    homes = (folder / "surface", data_folder() / "weights" / SURFACE_OF_PUBLIC_VIEWS / "surface")
    surface = next((home for home in homes if home.is_dir()), None)
    if surface is None:
        raise UserError(
            "weights_missing",
            f"The weights “{name}” need a surface network too: run “python3 -m backend weights fetch "
            f"{SURFACE_OF_PUBLIC_VIEWS}”, or “weights add” with the file ckpt_215000.pth.",
        )
    return view, surface


def read_tensors(path: Path | str) -> dict[str, torch.Tensor]:
    """The tensors of a file on the CPU; int8 ones with a scale as float32, all others as they are stored.

    Raises UserError (``weights_missing``, ``weights_broken``).
    """
    path = Path(path)
    if not path.is_file():
        raise UserError("weights_missing", f"The weight file {path} is missing: {_remedy(path)}.")
    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, EOFError) as error:
        raise UserError("weights_broken", f"The weight file {path} is damaged: {_remedy(path)}.") from error
    for name in [each for each in tensors if each + _SCALE in tensors and tensors[each].dtype == torch.int8]:
        scale = tensors.pop(name + _SCALE).float()
        tensors[name] = tensors[name].float().mul_(scale.view(-1, *[1] * (tensors[name].dim() - 1)))
    return tensors


def write_tensors(path: Path | str, tensors: dict[str, torch.Tensor], quantise: bool) -> None:
    """Write a file that ``read_tensors`` reads, under a temporary name first.

    ``quantise`` stores floating-point tensors of two or more dimensions as int8, symmetric, with one scale per output
    channel: an error of at most half a step, 1/254 of the channel's largest value. Everything else is kept as it is.
    """
    stored = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        if quantise and tensor.dim() >= 2 and tensor.is_floating_point():
            flat = tensor.float().flatten(1)
            largest = flat.abs().amax(1)
            scale = (largest / 127).clamp_min(_SMALLEST_SCALE).half()
            # Divide by the scale as it is stored, one float16 further up where rounding made it too small for 127.
            scale = (scale.view(torch.int16) + (scale.float() * 127 < largest).short()).view(torch.float16)
            stored[name] = (flat / scale.float()[:, None]).round().to(torch.int8).view(tensor.shape)
            stored[name + _SCALE] = scale
        else:
            stored[name] = tensor
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(stored, partial)
    partial.replace(path)


def misfit(expected: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]]) -> str:
    """What is wrong with the shapes ``found`` by name, as the second half of a sentence; empty when all fit."""
    missing = [name for name in expected if name not in found]
    strange = [name for name in found if name not in expected]
    wrong = [name for name in expected if name in found and tuple(found[name]) != tuple(expected[name])]
    told = []
    if missing:
        told.append(f"lacks {_named(missing)}")
    if strange:
        told.append(f"has {_named(strange)}, which does not belong there")
    if wrong:
        shapes = (" x ".join(map(str, each[wrong[0]])) or "a single number" for each in (found, expected))
        told.append(f"has {_named(wrong)} as {' instead of '.join(shapes)}")
    return " and ".join(told)


def _named(names: Sequence[str]) -> str:
    return f"“{names[0]}”" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _remedy(path: Path) -> str:
    if path.is_relative_to(STARTER):
        return "reinstall the extension, which brings the starter weights along"
    return "install these weights again, or choose “starter”"

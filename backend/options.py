"""Every option once: the command line's flags, Blender's properties and all checks derive from this module.

Standard library only: Blender imports it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import ErrorCode, UserError


@dataclass(frozen=True)
class QualityPreset:
    """What one word of quality means; the words are the choices of ``Options.quality``."""

    num_inference_steps: int
    """Scheduler steps of a stage-1 view; a stage-2 view takes two thirds of them."""
    guidance_scale: float
    """Scale of the classifier-free guidance."""
    joint_num_samples: int
    """How often a model that samples all views together does so, from the image and from its mirror image each time."""
    num_views: int
    """Views that are sampled on their own: 8 (stage 1 only) or 40 (with every view's four neighbors)."""
    resolution: int
    """Cells along one side of the grid from which the mesh is extracted."""


QUALITY_PRESETS = {
    "fast": QualityPreset(12, 3.0, joint_num_samples=1, num_views=8, resolution=128),
    "standard": QualityPreset(25, 3.0, joint_num_samples=2, num_views=40, resolution=192),
    "high": QualityPreset(50, 3.0, joint_num_samples=3, num_views=40, resolution=256),
}
"""20 to 25 steps of DPM-Solver++ look like 50 of DDIM."""
REFERENCE_PRESET = QualityPreset(75, 3.0, joint_num_samples=1, num_views=40, resolution=255)
"""One-2-3-45 as released: its 75 and 50 steps of DDIM (76 and 49 in effect), 32 neighbors, 256^3 grid points."""


def _option(default: Any, kind: type, label: str, help: str, minimum=None, maximum=None, choices=()) -> Any:
    metadata = {
        "kind": kind,
        "label": label,
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Options:
    """What the user can choose for one job. ``fields(Options)`` carries each option's metadata:

    ``kind`` (``str``, ``int``, ``float`` or ``bool``), ``label``, ``help``, ``minimum`` and ``maximum`` (both
    inclusive), ``choices`` (empty: any value). A ``None`` default means that the option may be left unset. The
    constructor checks every value and raises UserError (``bad_option``).
    """

    weights: str = _option("starter", str, "Weights", "Networks to use: starter (bundled), a name or a folder")
    text_model: str = _option(
        "auto",
        str,
        "Text to Image",
        "Generates the image from a text prompt: auto (an installed one), a name, a diffusers folder or a hub ID",
    )
    quality: str = _option(
        "auto",
        str,
        "Quality",
        "How many views are sampled and how often, sampler steps, grid size; auto is fast on a CPU, standard on a GPU",
        choices=("auto", *QUALITY_PRESETS),
    )
    cutout: str = _option(
        "auto",
        str,
        "Cutout",
        "How the object is cut out of the image: by its transparency (alpha), a background-removal model or GrabCut; "
        "auto takes the first of these that shows an object",
        choices=("auto", "alpha", "model", "grabcut"),
    )
    elevation: float | None = _option(
        None,
        float,
        "Elevation",
        "Degrees of the camera above the object's horizon; estimated from the image if not set",
        minimum=-30.0,
        maximum=75.0,
    )
    seed: int = _option(0, int, "Seed", "Seed for the generated sides", minimum=0, maximum=2**31 - 1)
    faces: int = _option(20_000, int, "Faces", "Triangles of the mesh", minimum=500, maximum=200_000)
    texture_size: int = _option(
        1024, int, "Texture Size", "Width and height of the texture in pixels", minimum=256, maximum=4096
    )
    close_handles: bool = _option(
        False,
        bool,
        "Close Handles",
        "Fill narrow holes through the object (up to a tenth of its size), which a surface may have where it is thin",
    )
    reference_mode: bool = _option(
        False,
        bool,
        "Reference Mode",
        "Compute exactly what One-2-3-45 computes, instead of the faster or better default: its sampler with 76 and 49 "
        "steps, 8-bit images between the stages, its elevation search, a dense grid of 256 points per side, no "
        "smoothing, and the surface network's own colors instead of the image's. Replaces the quality setting",
    )
    device: str = _option(
        "auto",
        str,
        "Device",
        "Where the networks run; auto uses a GPU if there is one",
        choices=("auto", "cpu", "cuda", "mps"),
    )
    low_memory: bool = _option(
        False,
        bool,
        "Low Memory",
        "Keep large networks on the GPU only while they are needed, and generate fewer views at once: slower, for GPUs "
        "with little memory. Without a CUDA GPU it changes nothing",
    )

    def __post_init__(self):
        for option in fields(self):
            object.__setattr__(self, option.name, _checked(option, getattr(self, option.name)))

    @classmethod
    def from_dict(cls, values: dict) -> Options:
        """Options from plain values; what is missing keeps its default. Raises UserError (``bad_option``)."""
        unknown = sorted(set(values) - {option.name for option in fields(cls)})
        if unknown:
            known = ", ".join(option.name for option in fields(cls))
            raise UserError(ErrorCode.BAD_OPTION, f"There is no option “{unknown[0]}”: use one of {known}.")
        return cls(**values)

    def to_dict(self) -> dict:
        """Plain values for JSON; ``from_dict`` reads them back."""
        return asdict(self)


def _checked(option, value):
    """The value as the option's kind. Raises UserError."""
    metadata = option.metadata
    if value is None and option.default is None:
        return None
    if metadata["kind"] is str:
        is_valid = isinstance(value, str) and value.strip() != ""
    elif metadata["kind"] is bool:
        is_valid = isinstance(value, bool)
    else:
        is_valid = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15  # nor NaN
        is_valid = is_valid and metadata["kind"](value) == value
    if not is_valid:
        expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[metadata["kind"]]
        raise UserError(ErrorCode.BAD_OPTION, f"{metadata['label']} must be {expected}, but is {value!r}.")
    value = metadata["kind"](value)
    if metadata["choices"] and value not in metadata["choices"]:
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"{metadata['label']} must be one of {', '.join(metadata['choices'])}, but is “{value}”.",
        )
    low, high = metadata["minimum"], metadata["maximum"]
    if low is not None and not low <= value <= high:
        raise UserError(ErrorCode.BAD_OPTION, f"{metadata['label']} must be between {low} and {high}, but is {value}.")
    return value


def add_flags(parser: ArgumentParser) -> None:
    """One flag per option, with its help and default; numbers and ranges are checked by ``from_flags``."""
    for option in fields(Options):
        metadata = option.metadata
        flag = f"--{option.name.replace('_', '-')}"
        if metadata["kind"] is bool:
            parser.add_argument(flag, dest=option.name, action="store_true", default=None, help=metadata["help"])
            continue
        default = "" if option.default is None else f" (default: {option.default})"
        span = "" if metadata["minimum"] is None else f", {metadata['minimum']} to {metadata['maximum']}"
        parser.add_argument(
            flag,
            dest=option.name,
            choices=metadata["choices"] or None,
            type=metadata["kind"],
            metavar=None if metadata["choices"] else metadata["kind"].__name__.upper(),
            help=f"{metadata['help']}{span}{default}".replace("%", "%%"),
        )


def from_flags(flags: Namespace) -> Options:
    """Options from parsed flags; a flag that is not given keeps its default. Raises UserError."""
    given = {option.name: getattr(flags, option.name) for option in fields(Options)}
    return Options.from_dict({name: value for name, value in given.items() if value is not None})

"""Every option once: the command line's flags, Blender's properties and all checks derive from this file.

Standard library only: Blender imports it.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import ErrorCode, UserError


@dataclass(frozen=True)
class Preset:
    """What one word of quality means; the names are the choices of ``Options.preset``."""

    steps: int
    """DPM-Solver++ steps of a stage-1 view; a stage-2 view takes two thirds of them. 20 to 25 pass for 50 of DDIM."""
    guidance: float
    """Classifier-free guidance scale."""
    views: int
    """Generated views given to the surface: 8 (stage 1 only) or 40 (with every view's neighbors)."""
    resolution: int
    """Cells along one side of the grid that the mesh is extracted from."""
    faithful: bool = False
    """Whether the original's way is followed in everything, instead of ours (docs/decisions.md)."""


PRESETS = {
    "fast": Preset(steps=12, guidance=3.0, views=8, resolution=128),
    "standard": Preset(steps=25, guidance=3.0, views=40, resolution=192),
    "high": Preset(steps=50, guidance=3.0, views=40, resolution=256),
}
FAITHFUL = Preset(steps=75, guidance=3.0, views=40, resolution=255, faithful=True)
"""One-2-3-45 as released: 75 and 50 steps of its DDIM (76 and 49 in truth), 32 neighbors, 256^3 grid points."""


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
    """What a person can choose for one job. ``fields(Options)`` carries each option's metadata:

    ``kind`` (``str``, ``int``, ``float`` or ``bool``), ``label``, ``help``, ``minimum`` and ``maximum`` (both allowed
    values themselves), ``choices`` (empty: free). A ``None`` default means "may be left open". Making one checks every
    value and raises UserError (code ``bad_option``).
    """

    weights: str = _option("starter", str, "Weights", "Networks to use: starter (bundled), a name or a folder")
    text_model: str = _option(
        "auto",
        str,
        "Text to Image",
        "Paints the picture where words are given: auto (what is installed), a name, a diffusers folder or a hub id",
    )
    preset: str = _option(
        "auto",
        str,
        "Quality",
        "Views, sampler steps and grid size; auto is fast on a CPU and standard on a GPU",
        choices=("auto", *PRESETS),
    )
    elevation: float | None = _option(
        None,
        float,
        "Elevation",
        "Degrees that the camera stood above the object's horizon; left out, it is estimated from the picture",
        minimum=-30.0,
        maximum=75.0,
    )
    seed: int = _option(0, int, "Seed", "Another seed invents another unseen side", minimum=0, maximum=2**31 - 1)
    faces: int = _option(20_000, int, "Faces", "Triangles of the mesh, kept to 2 %", minimum=500, maximum=200_000)
    texture_size: int = _option(
        1024, int, "Texture Size", "Width and height of the texture in pixels", minimum=256, maximum=4096
    )
    faithful: bool = _option(
        False,
        bool,
        "Faithful",
        "Compute what One-2-3-45 computed, instead of what is faster or better: its sampler with 76 and 49 steps, "
        "8-bit pictures between the stages, its search for the elevation, a dense grid of 256 points a side that is "
        "not smoothed, and the surface network's own colors instead of the picture's. Takes the place of the quality",
    )
    device: str = _option(
        "auto",
        str,
        "Device",
        "Where the networks run; auto takes a GPU if there is one",
        choices=("auto", "cpu", "cuda", "mps"),
    )

    def __post_init__(self):
        for each in fields(self):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))

    @classmethod
    def from_dict(cls, values: dict) -> Options:
        """Options from plain values; what is left out keeps its default. Raises UserError (code ``bad_option``)."""
        unknown = sorted(set(values) - {each.name for each in fields(cls)})
        if unknown:
            known = ", ".join(each.name for each in fields(cls))
            raise UserError(ErrorCode.BAD_OPTION, f"There is no option “{unknown[0]}”; the options are {known}.")
        return cls(**values)

    def to_dict(self) -> dict:
        """Plain values for JSON; ``from_dict`` reads them back."""
        return asdict(self)

    def quality(self, device: str) -> Preset:
        """The preset that holds on ``device`` (a resolved one: ``cpu``, ``cuda`` or ``mps``)."""
        if self.faithful:
            return FAITHFUL
        name = self.preset if self.preset != "auto" else ("fast" if device == "cpu" else "standard")
        return PRESETS[name]


def _checked(option, value):
    """The value as the option's kind, or UserError."""
    about = option.metadata
    if value is None and option.default is None:
        return None
    if about["kind"] is str:
        right = isinstance(value, str) and value.strip() != ""
    elif about["kind"] is bool:
        right = isinstance(value, bool)
    else:
        right = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15  # no NaN either
        right = right and about["kind"](value) == value
    if not right:
        wanted = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[about["kind"]]
        raise UserError(ErrorCode.BAD_OPTION, f"{about['label']} must be {wanted}, but is {value!r}.")
    value = about["kind"](value)
    if about["choices"] and value not in about["choices"]:
        raise UserError(
            ErrorCode.BAD_OPTION, f"{about['label']} must be one of {', '.join(about['choices'])}, but is “{value}”."
        )
    low, high = about["minimum"], about["maximum"]
    if low is not None and not low <= value <= high:
        raise UserError(ErrorCode.BAD_OPTION, f"{about['label']} must be between {low} and {high}, but is {value}.")
    return value


def add_flags(parser: ArgumentParser) -> None:
    """One flag per option, with its help and default; numbers and ranges are checked by ``from_flags``."""
    for each in fields(Options):
        about = each.metadata
        flag = f"--{each.name.replace('_', '-')}"
        if about["kind"] is bool:
            parser.add_argument(flag, dest=each.name, action="store_true", default=None, help=about["help"])
            continue
        shown = "" if each.default is None else f" (default: {each.default})"
        span = "" if about["minimum"] is None else f", {about['minimum']} to {about['maximum']}"
        parser.add_argument(
            flag,
            dest=each.name,
            choices=about["choices"] or None,
            type=about["kind"],
            metavar=None if about["choices"] else about["kind"].__name__.upper(),
            help=f"{about['help']}{span}{shown}".replace("%", "%%"),
        )


def from_flags(flags: Namespace) -> Options:
    """Options from parsed flags; a flag not given keeps the default. Raises UserError."""
    given = {each.name: getattr(flags, each.name) for each in fields(Options)}
    return Options.from_dict({name: value for name, value in given.items() if value is not None})

"""Changes to the views of an earlier job, as a request has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..camera import GENERATED_VIEWS, direction_angles
from ..data_types import Cutout, GivenView, ViewChanges, Views
from ..errors import ErrorCode, UserError
from .given import parse_side

DROP = "drop"
SIDES_OF_VIEWS = {"1": "right", "2": "back", "3": "left", "above": "top"}
"""What the sides are called that generated views show, where they have a name."""
_MAX_SEED = 2**31 - 1


def parse_changes(
    changes: Mapping[str, object], views: Views, needs_all: bool, cut_out_file: Callable[[Path], Cutout]
) -> ViewChanges:
    """Changes by the name of a view, or by the side of a new one (``parse_side``): ``"drop"``, ``{"seed": number}`` for
    a generated view that is to be sampled anew, or ``{"image": path}``, whose object ``cut_out_file`` cuts out.

    ``views`` are those that there are, all of which the surface network may need. Raises UserError: ``bad_option``,
    ``too_few_views`` and what ``cut_out_file`` raises.
    """
    dropped, seeds, given = set(), {}, {}
    for name, change in changes.items():
        image, seed = (change.get(key) if isinstance(change, Mapping) else None for key in ("image", "seed"))
        is_there, is_generated = name in views.names[1:], name in GENERATED_VIEWS
        if isinstance(image, str) and name != "input" and (is_there or not is_generated):
            side = _side_of(name, views) if is_generated else name
            if side in given:
                raise UserError(ErrorCode.BAD_OPTION, f"The side “{side}” is given twice: leave one of its images out.")
            given[side] = GivenView(side, cut_out_file(Path(image)), *parse_side(side))
            if is_generated and not needs_all:
                dropped.add(name)
        elif not is_there:
            raise UserError(ErrorCode.BAD_OPTION, f"There is no view “{name}” that could be changed: leave it out.")
        elif change == DROP and is_generated and needs_all:
            raise UserError(
                ErrorCode.TOO_FEW_VIEWS, "These weights need all views: sample a view anew instead of dropping it."
            )
        elif change == DROP:
            dropped.add(name)
        elif isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= _MAX_SEED and is_generated:
            seeds[name] = seed
        else:
            raise UserError(
                ErrorCode.BAD_OPTION,
                f"The change of the view “{name}” must be “{DROP}”, an image, or, for a generated view, a seed from 0 "
                f"to {_MAX_SEED}.",
            )
    return ViewChanges(frozenset(dropped), seeds, tuple(given.values()))


def _side_of(name: str, views: Views) -> str:
    """The side that a generated view shows, as ``parse_side`` reads it."""
    elevation, azimuth = direction_angles(views.camera_to_world[views.names.index(name)])
    return SIDES_OF_VIEWS.get(name) or f"{azimuth:.0f},{elevation:.0f}"

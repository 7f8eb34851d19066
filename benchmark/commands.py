"""What the commands of ``python3 -m benchmark`` do, once the environment is there."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable

from backend import options

from .contact_sheet import make_contact_sheet
from .quality import measure_quality
from .report import quality_page, quality_text, speed_text
from .speed import measure_speed
from .summary import write_json


def quality(flags: Namespace) -> None:
    measured = measure_quality(options.from_flags(flags), flags.shapes, flags.true_elevation)
    print(quality_text(measured))
    if flags.json:
        write_json(flags.json, measured)
    if flags.markdown:
        flags.markdown.write_text(quality_page(measured), encoding="utf-8")


def sheet(flags: Namespace) -> None:
    make_contact_sheet(options.from_flags(flags)).save(flags.output, quality=85)
    print(flags.output)


def speed(flags: Namespace) -> None:
    measured = measure_speed(options.from_flags(flags), flags.images)
    print(speed_text(measured))
    if flags.json:
        write_json(flags.json, measured)


def page(flags: Namespace) -> None:
    measured = [json.loads(path.read_text(encoding="utf-8")) for path in (flags.quality, flags.speed)]
    flags.output.write_text(quality_page(*measured), encoding="utf-8")


COMMANDS: dict[str, Callable[[Namespace], None]] = {"quality": quality, "sheet": sheet, "speed": speed, "page": page}
"""The commands by name."""

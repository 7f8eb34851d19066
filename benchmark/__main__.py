"""The benchmark's command line: ``python3 -m benchmark --help``.

Only the standard library is imported at the top: where torch and the others are missing, the program goes on in the
backend's own environment. So commands import what they need when they run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from backend import options
from backend.bootstrap import run_inside, unmet_requirements
from backend.errors import UserError


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status: 0 success, 1 with one sentence on what the user can do."""
    flags = _parser().parse_args(arguments)
    try:
        if unmet_requirements():
            return run_inside("benchmark", arguments)
        return flags.run(flags)
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m benchmark", description="Measure on held-out procedural shapes.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    quality = commands.add_parser("quality", help="how close the results come to the true shapes")
    quality.add_argument("--shapes", type=int, metavar="N", help="evaluate N shapes of each group (default: all)")
    quality.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    quality.add_argument("--markdown", type=Path, metavar="OUT", help="write the page")
    quality.add_argument(
        "--true-elevation", action="store_true", help="give the pipeline each camera's elevation (reported apart)"
    )
    options.add_flags(quality)
    quality.set_defaults(run=_quality)

    sheet = commands.add_parser("sheet", help="one image of 24 held-out shapes: input, views, mesh, texture")
    sheet.add_argument("output", type=Path, metavar="OUT.jpg")
    options.add_flags(sheet)
    sheet.set_defaults(run=_sheet)

    speed = commands.add_parser("speed", help="seconds of every stage and peak memory")
    speed.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: five held-out shapes")
    speed.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    options.add_flags(speed)
    speed.set_defaults(run=_speed)

    page = commands.add_parser("page", help="write docs/benchmark.md from the numbers of quality and speed")
    page.add_argument("quality", type=Path, metavar="QUALITY.json", help="what “quality --json” wrote")
    page.add_argument("speed", type=Path, metavar="SPEED.json", help="what “speed --json” wrote")
    page.add_argument("output", type=Path, metavar="OUT.md")
    page.set_defaults(run=_page)
    return parser


def _quality(flags: argparse.Namespace) -> int:
    from .quality import measure_quality
    from .report import quality_page, quality_text
    from .summary import write_json

    measured = measure_quality(options.from_flags(flags), flags.shapes, flags.true_elevation)
    print(quality_text(measured))
    if flags.json:
        write_json(flags.json, measured)
    if flags.markdown:
        flags.markdown.write_text(quality_page(measured), encoding="utf-8")
    return 0


def _sheet(flags: argparse.Namespace) -> int:
    from .contact_sheet import make_contact_sheet

    make_contact_sheet(options.from_flags(flags)).save(flags.output, quality=85)
    print(flags.output)
    return 0


def _speed(flags: argparse.Namespace) -> int:
    from .report import speed_text
    from .speed import measure_speed
    from .summary import write_json

    measured = measure_speed(options.from_flags(flags), flags.images)
    print(speed_text(measured))
    if flags.json:
        write_json(flags.json, measured)
    return 0


def _page(flags: argparse.Namespace) -> int:
    from .report import quality_page

    quality, speed = (json.loads(path.read_text(encoding="utf-8")) for path in (flags.quality, flags.speed))
    flags.output.write_text(quality_page(quality, speed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

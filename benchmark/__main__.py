"""The benchmark's command line: ``python3 -m benchmark --help``.

Only the standard library is imported at the top: where torch and the others are missing, the program goes on in the
backend's own environment. So ``commands`` is imported when a command runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from backend import options
from backend.allocator import keep_freed_memory
from backend.batch.commands import ENGINES
from backend.bootstrap import run_inside, unmet_requirements
from backend.errors import UserError

FULL_SIZE_PARTS = ("starter", "memory", "shap_e", "views")
"""``gpu_speed.MEASUREMENTS``, which take torch to import; the first one also tells what a fresh process costs."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status: 0 success, 1 with one sentence on what the user can do."""
    flags = _parser().parse_args(arguments)
    try:
        if unmet_requirements():
            return run_inside("benchmark", arguments)
        keep_freed_memory()  # as the program does
        from . import commands  # imports torch, which takes seconds

        commands.COMMANDS[flags.command](flags)
        return 0
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m benchmark", description="Measure on shapes never trained on.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    quality = commands.add_parser("quality", help="how close the results come to the true shapes")
    quality.add_argument("--shapes", type=int, metavar="N", help="evaluate N shapes of each group (default: all)")
    quality.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    quality.add_argument("--markdown", type=Path, metavar="OUT", help="write the page")
    quality.add_argument("--workers", type=int, default=1, metavar="N", help="share the cores among N processes")
    quality.add_argument("--true-elevation", action="store_true", help="also with each camera's elevation given")
    quality.add_argument("--back", action="store_true", help="also with a second image, of the back")
    _add_object_flags(quality)
    options.add_flags(quality)

    sheet = commands.add_parser("sheet", help="one image of shapes of each group: input, views, mesh, texture")
    sheet.add_argument("output", type=Path, metavar="OUT.jpg")
    _add_object_flags(sheet)
    options.add_flags(sheet)

    speed = commands.add_parser("speed", help="seconds of every stage and peak memory")
    speed.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: five procedural shapes")
    speed.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    speed.add_argument(
        "--full-size",
        nargs="*",
        choices=FULL_SIZE_PARTS,
        metavar="PART",
        help="on a GPU: a view model of the public weights' size with random numbers, beside the reference's plan; all "
        f"parts (default), or some of {', '.join(FULL_SIZE_PARTS)}",
    )
    options.add_flags(speed)

    throughput = commands.add_parser("throughput", help="pictures an hour of a batch, on one GPU and on several")
    throughput.add_argument("--pictures", type=int, default=500, metavar="N", help="for each GPU (default: 500)")
    throughput.add_argument(
        "--gpus", type=int, nargs="+", default=[1], metavar="N", help="numbers of GPUs to measure; 0: the processor"
    )
    throughput.add_argument("--workers", type=int, default=1, metavar="N", help="processes for each GPU (default: 1)")
    throughput.add_argument("--engine", choices=ENGINES, default="local", help="as of the command batch")
    throughput.add_argument("--json", type=Path, metavar="OUT", help="write every number")
    options.add_flags(throughput)

    page = commands.add_parser("page", help="write docs/benchmark.md from the numbers of quality and speed")
    page.add_argument("quality", type=Path, metavar="QUALITY.json", help="what “quality --json” wrote")
    page.add_argument("speed", type=Path, metavar="SPEED.json", help="what “speed --json” wrote")
    page.add_argument("output", type=Path, metavar="OUT.md")
    return parser


def _add_object_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--objects", nargs="+", type=Path, default=[], metavar="PACK.npz", help="packs with the group of real objects"
    )
    parser.add_argument(
        "--object-ids",
        type=_parse_ids,
        default="test",
        metavar="IDS",
        help="the packs' objects: test (default; those that no training uses), all, or ids such as 3,50",
    )


def _parse_ids(text: str) -> str | frozenset[int]:
    if text in ("test", "all"):
        return text
    try:
        return frozenset(int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}” is neither test nor all nor ids such as 3,50") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

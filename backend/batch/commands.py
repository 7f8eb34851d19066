"""The command ``batch``. Only the standard library is imported at the top: the environment may have to be made."""

from __future__ import annotations

import argparse
import os

from .. import options
from ..errors import ErrorCode, UserError, printable

ENGINES = ("local", "ray")


def add_parser(commands, force_help: str) -> None:
    """Add the command and its arguments to the program's parser."""
    batch = commands.add_parser("batch", help="turn a folder or a list of images into meshes, and list the results")
    batch.add_argument(
        "source",
        metavar="FOLDER_OR_LIST",
        help="a folder, with all folders in it; a text file with a path a line; or - for such a list on stdin",
    )
    batch.add_argument("--out", required=True, metavar="DIR", help="where the results go: made if it is not there")
    batch.add_argument("--workers", type=int, metavar="N", help="processes; default: one a GPU, else one for two cores")
    batch.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="local: processes on this computer; ray: a Ray cluster, with paths and addresses of fsspec (s3://...)",
    )
    batch.add_argument("--resume", action="store_true", help="go on with an earlier run that wrote into DIR")
    batch.add_argument("--force", action="store_true", help=force_help)
    options.add_flags(batch)
    batch.set_defaults(run=_run, check=_check, needs_environment=True)


def _check(flags: argparse.Namespace) -> None:
    """What can be known before anything is installed or loaded. Raises UserError."""
    options.from_flags(flags)
    if flags.workers is not None and flags.workers < 1:
        raise UserError(ErrorCode.BAD_OPTION, f"--workers must be at least 1, but is {flags.workers}.")
    for path, what in ((flags.source, "FOLDER_OR_LIST"), (flags.out, "DIR")):
        if not path.strip() or "\0" in path:
            raise UserError(ErrorCode.BAD_OPTION, f"{what} is empty or no path: give a path.")
        if flags.engine == "local" and "://" in path and not os.path.exists(path):
            raise UserError(
                ErrorCode.BAD_OPTION, f"{printable(path)} is an address: use a path, or add “--engine ray”."
            )


def _run(flags: argparse.Namespace) -> int:
    from .run import run  # imports torch, which takes seconds

    return run(
        flags.source,
        flags.out,
        options.from_flags(flags),
        engine=flags.engine,
        workers=flags.workers,
        resume=flags.resume,
        force=flags.force,
    )

"""The command line: ``python -m backend --help``.

Only the standard library is imported at the top: where torch and the others are missing, the backend's own environment
is made first and this program runs again inside it. So commands import what they need when they run.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older ones get this sentence instead of a traceback
    sys.exit("error: Image to Mesh needs Python 3.11 to 3.14, but this one is older: use a newer one.")

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from . import environment, options
from .accelerator import ACCELERATORS
from .bootstrap import REQUIRED_MODULES, missing_modules, run_inside
from .errors import to_user_error
from .paths import data_folder
from .progress import TerminalProgress
from .weights import commands as weights

_log = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit status after Ctrl-C."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status: 0 success, 1 with one sentence on what the user can do, 130 interrupted."""
    flags = _parser().parse_args(arguments)
    if flags.command == "serve":
        return flags.run(flags)
    log = _open_log(data_folder() / "logs" / "command-line.log")
    try:
        if flags.needs_environment and missing_modules():
            return run_inside("backend", arguments)
        return flags.run(flags)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr, flush=True)
        return INTERRUPTED
    except Exception as error:
        _log.exception("%s failed", flags.command)
        user_error = to_user_error(error, log)
        print(f"\nerror: {user_error}", file=sys.stderr)
        if user_error.log:
            print(f"log: {user_error.log}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="Turn one image into a textured mesh.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    mesh = commands.add_parser("mesh", help="turn an image into NAME.glb and a turntable preview NAME.png")
    mesh.add_argument("image", type=Path, metavar="IMAGE")
    mesh.add_argument("-o", "--output", type=Path, metavar="OUT.glb", help="default: NAME.glb in the current folder")
    mesh.add_argument(
        "--view",
        action="append",
        default=[],
        metavar="SIDE=IMAGE",
        help="another image of the object, from its right, back, left or top, or from degrees around it and above its "
        "horizon: 135,20=IMAGE; up to three",
    )
    options.add_flags(mesh)
    mesh.set_defaults(run=_mesh, needs_environment=True)

    text = commands.add_parser("text", help="generate an image from a text prompt, and turn it into a mesh")
    text.add_argument("prompt", metavar="PROMPT", help="one object, such as “a blue teapot”")
    text.add_argument("-o", "--output", type=Path, metavar="OUT.glb", help="default: named after the prompt")
    options.add_flags(text)
    text.set_defaults(run=_text, needs_environment=True)

    serve = commands.add_parser("serve", help="answer requests on stdin and stdout (what Blender talks to)")
    serve.add_argument("--log", help="the file that stderr goes to, named in error messages")
    serve.set_defaults(run=_serve)

    setup = commands.add_parser("setup", help="create the backend's own Python environment")
    setup.add_argument("--accelerator", choices=ACCELERATORS, help="default: what this computer has")
    setup.add_argument("--repair", action="store_true", help="delete the environment first and create it again")
    setup.set_defaults(run=_setup, needs_environment=False)

    weights.add_parser(commands)

    doctor = commands.add_parser("doctor", help="show what is installed and whether it works")
    doctor.set_defaults(run=_doctor, needs_environment=True)
    return parser


def _open_log(path: Path) -> str | None:
    """Log to this file from now on; None where it cannot be written, which must not stop the work."""
    form = "%(asctime)s %(name)s %(levelname)s %(message)s"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(filename=path, filemode="w", level=logging.INFO, format=form, encoding="utf-8")
    except OSError:
        logging.basicConfig(handlers=[logging.NullHandler()])
        return None
    logging.captureWarnings(True)
    return str(path)


def _mesh(flags: argparse.Namespace) -> int:
    from .commands import mesh

    mesh(flags.image, flags.output, options.from_flags(flags), flags.view)
    return 0


def _text(flags: argparse.Namespace) -> int:
    from .commands import text

    text(flags.prompt, flags.output, options.from_flags(flags))
    return 0


def _serve(flags: argparse.Namespace) -> int:
    from .server import serve

    serve(flags.log)
    return 0


def _setup(flags: argparse.Namespace) -> int:
    if flags.repair:
        environment.remove()
    print(environment.ensure(TerminalProgress(), accelerator=flags.accelerator))
    return 0


def _doctor(flags: argparse.Namespace) -> int:
    from .commands import doctor

    return doctor(REQUIRED_MODULES)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    if status == INTERRUPTED:
        # Python would end by SIGINT instead, had the interrupt passed through code that a library runs with exec().
        logging.shutdown()
        os._exit(status)
    sys.exit(status)

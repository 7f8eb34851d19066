"""The commands, their flags, and how they end.

Only the standard library is imported at the top: where torch and the others are missing, the backend's own environment
is made first and this program runs again inside it. So ``commands`` is imported when one of its commands runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import environment, options
from .accelerator import ACCELERATORS
from .batch import commands as batch
from .bootstrap import prepare_child, run_inside, unmet_requirements
from .errors import ErrorCode, UserError, printable, to_user_error
from .input_files import check_image_file
from .library_variables import set_library_variables
from .paths import data_folder
from .progress import TerminalProgress
from .server import serve
from .stop_signals import Stopped, StopSignals
from .weights import commands as weights

_log = logging.getLogger(__name__)

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
BROKEN_PIPE = 141
"""Exit status when the program that reads the output has ended, such as ``head``; as of a program that SIGPIPE ends."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status: 0 success, 1 with one sentence on what the user can do, 130 interrupted."""
    _open_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not a test's own stream
            stream.reconfigure(errors="backslashreplace")  # whatever the terminal's encoding
    log = None
    try:
        flags = _parser().parse_args(arguments)
        if flags.command == "serve":
            return flags.run(flags)
        log = _open_log()
        StopSignals().install()
        prepare_child()
        flags.check(flags)
        set_library_variables()
        status = run_inside("backend", arguments) if flags.needs_environment and unmet_requirements() else None
        status = flags.run(flags) if status is None else status
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr, flush=True)
        return INTERRUPTED
    except Stopped as stopped:
        return 128 + stopped.number
    except BrokenPipeError:
        _silence()
        return BROKEN_PIPE
    except Exception as error:
        _log.exception("failed: %s", arguments)
        return _report(to_user_error(error, log))
    return status


def _open_missing_streams() -> None:
    """Put the null device in the place of streams that were closed before the start (``>&-``), which else the next file
    would take: what is printed would go into that file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115


def _report(error: UserError) -> int:
    """Say what is wrong; the exit status."""
    try:
        print(f"\nerror: {printable(str(error))}", file=sys.stderr)
        if error.command:
            print(f"command: {printable(error.command)}", file=sys.stderr)
        if error.log:
            print(f"log: {printable(error.log)}", file=sys.stderr)
    except OSError:
        _silence()
    return 1


def _silence() -> None:
    """Nobody reads the output, or the disk it goes to is full: Python's own end must not try again."""
    with open(os.devnull, "wb") as nothing:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nothing.fileno(), stream.fileno())


_FORCE_HELP = "replace files of these names that this program did not write"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="Turn one image into a textured mesh.")
    parser.set_defaults(check=lambda flags: None)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    mesh = commands.add_parser("mesh", help="turn an image into NAME.glb and a turntable preview NAME.png")
    mesh.add_argument("image", metavar="IMAGE")
    mesh.add_argument("-o", "--output", metavar="OUT.glb", help="default: NAME.glb in the current folder")
    mesh.add_argument("--force", action="store_true", help=_FORCE_HELP)
    mesh.add_argument(
        "--view",
        action="append",
        default=[],
        metavar="SIDE=IMAGE",
        help="another image of the object, from its right, back, left or top, or from degrees around it and above its "
        "horizon: 135,20=IMAGE; up to three",
    )
    mesh.add_argument(
        "--mask", metavar="MASK", help="an image of the same proportions: white, or opaque, where the object is"
    )
    options.add_flags(mesh)
    mesh.set_defaults(run=_run_command, check=_check_mesh, needs_environment=True)

    text = commands.add_parser("text", help="generate an image from a text prompt, and turn it into a mesh")
    text.add_argument("prompt", metavar="PROMPT", help="one object, such as “a blue teapot”")
    text.add_argument("-o", "--output", metavar="OUT.glb", help="default: named after the prompt")
    text.add_argument("--force", action="store_true", help=_FORCE_HELP)
    options.add_flags(text)
    text.set_defaults(run=_run_command, check=_check_text, needs_environment=True)

    batch.add_parser(commands, _FORCE_HELP)

    server = commands.add_parser("serve", help="answer requests on stdin and stdout (what Blender talks to)")
    server.add_argument("--log", help="the file that stderr goes to, named in error messages")
    server.set_defaults(run=_serve)

    setup = commands.add_parser("setup", help="create the backend's own Python environment, or mend it")
    setup.add_argument("--accelerator", choices=ACCELERATORS, help="default: what this computer has")
    setup.add_argument("--repair", action="store_true", help="delete every environment first, also sound ones")
    setup.add_argument("--cluster", action="store_true", help="add Ray (82 MB), which “batch --engine ray” needs")
    setup.set_defaults(run=_setup, needs_environment=False)

    weights.add_parser(commands)

    compiler = commands.add_parser("compile", help="compile weights of Zero123's size for this computer's CUDA GPU")
    compiler.add_argument("--weights", required=True, metavar="NAME", help="a name from “weights list”, or a folder")
    compiler.set_defaults(run=_compile, needs_environment=True)

    doctor = commands.add_parser("doctor", help="show what is installed and whether it works")
    doctor.set_defaults(run=_run_command, needs_environment=True)
    return parser


def _open_log() -> str | None:
    """Log to a file from now on; None where it cannot be written, which must not stop the work."""
    form = "%(asctime)s %(name)s %(levelname)s %(message)s"
    logging.raiseExceptions = False  # nor must a disk that becomes full later
    try:
        path = data_folder() / "logs" / "command-line.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        logging.basicConfig(
            filename=path, filemode="w", level=logging.INFO, format=form, encoding="utf-8", errors="backslashreplace"
        )
    except (OSError, UserError):
        logging.basicConfig(handlers=[logging.NullHandler()])
        return None
    logging.captureWarnings(True)
    return str(path)


def _check_mesh(flags: argparse.Namespace) -> None:
    """What can be known before anything is installed or loaded. Raises UserError."""
    check_image_file(flags.image)
    for view in flags.view:
        check_image_file(view.partition("=")[2])
    if flags.mask is not None:
        check_image_file(flags.mask)
    options.from_flags(flags)
    _check_output(flags)


def _check_text(flags: argparse.Namespace) -> None:
    if not flags.prompt.strip():
        raise UserError(ErrorCode.BAD_OPTION, "The prompt is empty: describe an object.")
    options.from_flags(flags)
    _check_output(flags)


def _check_output(flags: argparse.Namespace) -> None:
    if flags.output is not None and not flags.output.strip():
        raise UserError(ErrorCode.BAD_OUTPUT, "The name of the output is empty: name the result NAME.glb.")


def _run_command(flags: argparse.Namespace) -> int:
    """The commands that need the environment."""
    from . import commands  # needs packages of the environment

    if flags.command == "doctor":
        commands.doctor()
        return 0
    output = Path(flags.output) if flags.output is not None else None
    if flags.command == "mesh":
        image = check_image_file(flags.image)
        mask = check_image_file(flags.mask) if flags.mask is not None else None
        commands.mesh(image, output, flags.force, options.from_flags(flags), flags.view, mask)
    else:
        commands.text(flags.prompt, output, flags.force, options.from_flags(flags))
    return 0


def _compile(flags: argparse.Namespace) -> int:
    from .compilation import compile_weights  # imports torch

    for path in compile_weights(flags.weights, TerminalProgress()):
        print(path)
    return 0


def _serve(flags: argparse.Namespace) -> int:
    serve(flags.log)
    return 0


def _setup(flags: argparse.Namespace) -> int:
    if flags.repair:
        environment.remove()
    python = environment.mend(TerminalProgress(), accelerator=flags.accelerator)
    if flags.cluster:
        environment.add_cluster(TerminalProgress(), accelerator=flags.accelerator)
    print(python)
    return 0

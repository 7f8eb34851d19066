"""The command line: ``python -m backend --help``.

Only the standard library is imported at the top: where torch and the others are missing, the backend's own environment
is made first and this program runs again inside it.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older Python is told
    sys.exit("error: Image to Mesh needs Python 3.11 to 3.14, and this is older: start it with a newer one.")

import argparse
import importlib.util
import logging
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import environment, options
from .accelerator import ACCELERATORS
from .client import START
from .errors import ErrorCode, UserError, to_user_error
from .paths import data_folder
from .progress import TerminalProgress
from .weights import commands as weights

_log = logging.getLogger(__name__)
_NEEDED = ("torch", "diffusers", "transformers", "safetensors", "PIL", "cv2", "scipy", "trimesh")
_INSIDE = "IMAGE_TO_MESH_INSIDE"
"""Set for the run inside the backend's own environment, so that a broken one is told of instead of tried for ever."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit status: 0 good, 1 with one sentence on what a person can do, 130 interrupted."""
    flags = _parser().parse_args(arguments)
    if flags.command == "serve":
        return flags.run(flags)
    log = _open_log(data_folder() / "logs" / "command-line.log")
    try:
        if flags.needs_environment and _missing():
            return _run_inside(arguments)
        return flags.run(flags)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except Exception as error:
        _log.exception("%s failed", flags.command)
        told = to_user_error(error, log)
        print(f"\nerror: {told}", file=sys.stderr)
        if told.log:
            print(f"log: {told.log}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description="A picture becomes a textured 3D object.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    mesh = commands.add_parser("mesh", help="turn a picture into NAME.glb and a turntable preview NAME.png")
    mesh.add_argument("picture", type=Path, metavar="PICTURE")
    mesh.add_argument("-o", "--output", type=Path, metavar="OUT.glb", help="default: NAME.glb in the current folder")
    options.add_flags(mesh)
    mesh.set_defaults(run=_mesh, needs_environment=True)

    text = commands.add_parser("text", help="paint a picture of what words say, and turn it into a mesh")
    text.add_argument("words", metavar="WORDS", help="what it shall be, as in “a blue teapot”")
    text.add_argument("-o", "--output", type=Path, metavar="OUT.glb", help="default: named after the words")
    options.add_flags(text)
    text.set_defaults(run=_text, needs_environment=True)

    serve = commands.add_parser("serve", help="answer requests on stdin and stdout (what Blender talks to)")
    serve.add_argument("--log", help="the file that stderr goes to, named in error messages")
    serve.set_defaults(run=_serve)

    setup = commands.add_parser("setup", help="make the backend's own Python environment")
    setup.add_argument("--accelerator", choices=ACCELERATORS, help="default: what this computer has")
    setup.add_argument("--repair", action="store_true", help="delete what is there and make it anew")
    setup.set_defaults(run=_setup, needs_environment=False)

    weights.add_parser(commands)

    doctor = commands.add_parser("doctor", help="say what is installed and whether it works")
    doctor.set_defaults(run=_doctor, needs_environment=True)

    benchmark = commands.add_parser("benchmark", help="measure quality on held-out shapes", add_help=False)
    benchmark.add_argument("rest", nargs=argparse.REMAINDER)
    benchmark.set_defaults(run=_benchmark, needs_environment=True)
    return parser


def _missing() -> list[str]:
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def _run_inside(arguments: Sequence[str]) -> int:
    """Make the backend's own environment where it is missing, and run this program in it."""
    if _INSIDE in os.environ:
        raise UserError(
            ErrorCode.ENVIRONMENT_BROKEN,
            f"The backend's environment lacks {', '.join(_missing())}: repair it with "
            "“python3 -m backend setup --repair”.",
        )
    python = environment.ensure(TerminalProgress())
    command = [str(python), "-I", "-X", "utf8", "-c", START, str(Path(__file__).resolve().parents[1]), *arguments]
    variables = {**os.environ, _INSIDE: "1"}
    if os.name == "posix":
        os.execve(python, command, variables)
    process = subprocess.Popen(command, env=variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other one hears it too, and cleans up
    return process.wait()


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

    mesh(flags.picture, flags.output, options.from_flags(flags))
    return 0


def _text(flags: argparse.Namespace) -> int:
    from .commands import text

    text(flags.words, flags.output, options.from_flags(flags))
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

    return doctor(_NEEDED)


def _benchmark(flags: argparse.Namespace) -> int:
    from benchmark import quality

    return quality.main(flags.rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

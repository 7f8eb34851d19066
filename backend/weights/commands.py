"""The command ``weights``: list, fetch, add, convert, remove, verify.

Only the standard library is imported at the top: the actions that need no torch run without it.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

from ..errors import ErrorCode, UserError
from ..paths import STARTER_WEIGHTS, weights_folder
from ..progress import ProgressListener, ProgressTracker, TerminalProgress
from . import registry
from .catalog import KINDS, load_catalog
from .registry import MANIFEST, installed_weights

_STANDARD_LIBRARY_ONLY = ("list", "remove", "verify")
"""Actions that run without the backend's environment."""


def add_parser(commands) -> None:
    """Add the command and its arguments to the program's parser."""
    parser = commands.add_parser("weights", help="list, download, add, verify and remove weights")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what is available and what is installed, with sizes and licenses")
    fetch = actions.add_parser("fetch", help="download from the model hub and install")
    fetch.add_argument("name", metavar="NAME", help="a name from “weights list”")
    add = actions.add_parser("add", help="install a local file or folder")
    add.add_argument("path", type=Path, metavar="PATH")
    add.add_argument("--name", help="default: the catalog's name for this file, otherwise the file's own name")
    convert = actions.add_parser("convert", help="convert a checkpoint into a folder instead of installing it")
    convert.add_argument("path", type=Path, metavar="PATH")
    convert.add_argument("folder", type=Path, metavar="FOLDER")
    for action in (add, convert):
        action.add_argument(
            "--half",
            action="store_true",
            help="round an original Zero123 file to 16 bits: half the size, and all that a GPU uses",
        )
    remove = actions.add_parser("remove", help="delete installed weights")
    remove.add_argument("name", metavar="NAME")
    verify = actions.add_parser("verify", help="check every installed file against its hash")
    verify.add_argument("name", nargs="?", metavar="NAME", help="default: all")
    for name, action in actions.choices.items():
        action.set_defaults(run=run, needs_environment=name not in _STANDARD_LIBRARY_ONLY)


def run(flags: argparse.Namespace) -> int:
    """Run the action; the exit status is 0, or 1 where ``verify`` found a problem. Raises UserError."""
    listener = TerminalProgress()
    match flags.action:
        case "list":
            _list()
        case "remove":
            print(f"{_format_size(registry.remove(flags.name))} freed")
        case "verify":
            return _verify(flags.name, listener)
        case _:
            _install(flags, listener)
    return 0


def _list() -> None:
    catalog, installed = load_catalog(), installed_weights()
    print(f"in {weights_folder()}\n")
    size = sum(path.stat().st_size for path in STARTER_WEIGHTS.rglob("*") if path.is_file())
    _print_weights("starter", "bundle", size, "bundled", "All that a mesh needs; small and fast", "CC BY 4.0")
    for name, entry in catalog.items():
        weights = installed.get(name)
        size = weights.bytes if weights else entry.bytes
        state = "installed" if weights else "available" if entry.repo else "add from a file"
        memory = f"; {entry.vram} GB of GPU memory" if entry.vram else ""
        _print_weights(name, entry.kind, size, state, entry.purpose + memory, entry.terms)
    for name, weights in installed.items():
        if name not in catalog:
            purpose = f"from {weights.source}"
            _print_weights(name, weights.kind, weights.bytes, "installed", purpose, weights.license)
    for weights in installed.values():
        for note in weights.notes:
            print(f"{weights.name}: {note}")


def _print_weights(name: str, kind: str, size: int | None, state: str, purpose: str, license: str) -> None:
    print(f"{name:<20} {KINDS.get(kind, ''):<18} {_format_size(size):>9}  {state}")
    for text in (purpose, f"license: {license}"):
        print(textwrap.fill(text, 118, initial_indent="    ", subsequent_indent="    "))


def _format_size(count: int | None) -> str:
    if count is None:
        return ""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _install(flags: argparse.Namespace, listener: ProgressListener) -> None:
    """The actions that need the backend's environment."""
    from . import install  # imports torch, which takes seconds

    match flags.action:
        case "fetch":
            for entry in install.resolve_dependencies(flags.name):
                print(f"{entry.name}: {_format_size(entry.bytes)} from {entry.repo}", file=sys.stderr)
                print(f"  license: {entry.terms}", file=sys.stderr)
            for folder in install.fetch(flags.name, listener):
                _print_result(folder)
        case "add":
            _print_result(install.add(flags.path, flags.name, flags.half, listener))
        case "convert":
            install.convert(flags.path, flags.folder, flags.half, listener)
            print(flags.folder)


def _verify(name: str | None, listener: ProgressListener) -> int:
    installed = installed_weights()
    if name is not None and name not in installed:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"No weights named “{name}” are installed: choose among those that are.",
            command="python3 -m backend weights list",
        )
    chosen = [weights for weights in installed.values() if name in (None, weights.name)]
    failed = 0
    tracker = ProgressTracker({weights.name: max(weights.bytes, 1) for weights in chosen}, listener)
    for weights in chosen:
        with tracker.stage(weights.name, f"Checking {weights.name}"):
            problems = registry.verify(weights, tracker.update)
        failed += bool(problems)
        result = f"{'; '.join(problems)}: remove these weights and install them again" if problems else "good"
        print(f"{weights.name}: {result}")
    if not chosen:
        print("only the starter weights are installed")
    return 1 if failed else 0


def _print_result(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    size = sum(path.stat().st_size for path in files)
    print(f"{folder.name}: {len(files)} files, {_format_size(size)} in {folder}")
    for note in installed_weights()[folder.name].notes:
        print(f"note: {note}")

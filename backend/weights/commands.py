"""The command ``weights``: list, fetch, add, convert, remove, verify.

Nothing but the standard library at the top: what needs no torch runs without it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import textwrap
from pathlib import Path

from .. import protocol
from ..errors import ErrorCode, UserError
from ..progress import ProgressEvent, ProgressListener, ProgressTracker, TerminalProgress
from . import registry
from .catalog import KINDS, MANIFEST, Entry, catalog, installed, weights_folder

_LIGHT = ("list", "remove", "verify")
"""What needs the standard library only."""


def add_parser(commands) -> None:
    """Add the command and its flags to the program's."""
    parser = commands.add_parser("weights", help="get, add, check and remove weights other than the starter's")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what there is, what is installed, sizes and licenses")
    fetch = actions.add_parser("fetch", help="download from the model hub, and install")
    fetch.add_argument("name", metavar="NAME", help="a name of the list")
    add = actions.add_parser("add", help="install a file or folder that you have")
    add.add_argument("path", type=Path, metavar="PATH")
    add.add_argument("--name", help="default: the list's name for such a file, else one made of the file's")
    convert = actions.add_parser("convert", help="write what would be installed into a folder of your choice")
    convert.add_argument("path", type=Path, metavar="PATH")
    convert.add_argument("folder", type=Path, metavar="FOLDER")
    for each in (add, convert):
        each.add_argument(
            "--half",
            action="store_true",
            help="round an original Zero123 file to 16 bits: half the size, all a GPU uses",
        )
    remove = actions.add_parser("remove", help="delete installed weights")
    remove.add_argument("name", metavar="NAME")
    verify = actions.add_parser("verify", help="check every installed file against its hash")
    verify.add_argument("name", nargs="?", metavar="NAME", help="default: all")
    for each in actions.choices.values():
        each.add_argument("--messages", action="store_true", help="progress as one JSON message per line on stdout")
        each.set_defaults(run=run)
    for name, each in actions.choices.items():
        each.set_defaults(needs_environment=name not in _LIGHT)


def run(flags: argparse.Namespace) -> int:
    """Do it; 0, or 1 where a check found something wrong. Raises UserError."""
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _interrupt)  # so that what is half written goes
    listener = _messages if flags.messages else TerminalProgress()
    match flags.action:
        case "list":
            _list()
        case "fetch":
            _fetch(flags.name, listener)
        case "add":
            from .install import add

            _tell(add(flags.path, flags.name, flags.half, listener))
        case "convert":
            from .install import convert

            convert(flags.path, flags.folder, flags.half, listener)
            print(flags.folder)
        case "remove":
            print(f"{registry.remove(flags.name) / 1e9:.2f} GB freed")
        case "verify":
            return _verify(flags.name, listener)
    return 0


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


def _list() -> None:
    entries, there = catalog(), installed()
    print(f"in {weights_folder()}\n")
    for name in [*entries, *(name for name in there if name not in entries)]:
        mine, entry = there.get(name), entries.get(name)
        kind = KINDS.get(mine.kind if mine else entry.kind, "")
        print(f"{name:<20} {kind:<18} {_size(mine, entry):>9}  {'installed' if mine else _how(entry)}")
        about = entry.purpose if entry else f"from {mine.source}"
        memory = f"; {entry.vram} GB of graphics memory" if entry and entry.vram else ""
        print(textwrap.fill(about + memory, 118, initial_indent="    ", subsequent_indent="    "))
        print(textwrap.fill(f"license: {entry.terms if entry else mine.license}", 118, initial_indent="    "))


def _size(mine, entry: Entry | None) -> str:
    size = mine.bytes if mine else entry.bytes
    return "" if size is None else f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _how(entry: Entry) -> str:
    return "to fetch" if entry.repo else "to add from a file"


def _fetch(name: str, listener: ProgressListener) -> None:
    from .install import fetch, wanted

    entries = wanted(name)
    for entry in entries:
        print(f"{entry.name}: {_size(None, entry)} from {entry.repo}\n  license: {entry.terms}", file=sys.stderr)
    for entry in entries:
        _tell(fetch(entry, listener))


def _verify(name: str | None, listener: ProgressListener) -> int:
    there = installed()
    if name is not None and name not in there:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"There are no weights “{name}” installed: “weights list” shows what there is."
        )
    chosen = [each for each in there.values() if name in (None, each.name)]
    failed = 0
    tracker = ProgressTracker({each.name: each.bytes for each in chosen}, listener)
    for weights in chosen:
        with tracker.stage(weights.name, f"Checking {weights.name}"):
            wrong = registry.verify(weights, tracker.update)
        failed += bool(wrong)
        print(f"{weights.name}: {'; '.join(wrong) + ': remove these weights and get them again' if wrong else 'good'}")
    if not chosen:
        print("no weights are installed besides the starter's")
    return 1 if failed else 0


def _tell(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST]
    size = sum(path.stat().st_size for path in files)
    print(f"{folder.name}: {len(files)} files, {size / 1e9:.2f} GB in {folder}")


def _messages(event: ProgressEvent) -> None:
    params = {"stage": event.stage, "fraction": event.fraction, "text": event.text, "detail": event.detail}
    sys.stdout.buffer.write(protocol.encode(protocol.notification("weights", params)))
    sys.stdout.flush()

"""The manifest of a batch: one JSON object a line and picture, written when the picture's results are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from ..errors import ErrorCode, UserError
from .results import result_files
from .storage import Storage

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """What became of one picture."""

    input: str
    """Its path or address."""
    sha256: str | None
    """Of its content; None where it could not be read."""
    options: dict
    """All options of the job."""
    files: dict[str, str] = field(default_factory=dict)
    """The results by what they are (``mesh``, ``preview``, ``thumbnail``), relative to the manifest."""
    seconds: float = 0.0
    """How long the picture took, with all that was waited for."""
    warnings: list[str] = field(default_factory=list)
    """What a user should know before using the mesh, one sentence each."""
    error: dict[str, str] | None = None
    """``code`` and ``message`` where it failed."""


def failed(input: str, sha256: str | None, options: dict, seconds: float, error: UserError) -> Entry:
    """The entry of a picture that ended with an error."""
    return Entry(input, sha256, options, {}, round(seconds, 3), [], {"code": error.code, "message": str(error)})


def append_entry(storage: Storage, entry: Entry) -> None:
    """Write one line, on the disk when this returns."""
    storage.append(MANIFEST, _line(entry))


def resume_entries(storage: Storage) -> Iterator[Entry]:
    """The entries of an earlier run that stay, in their order; those of pictures that failed go, to be tried again.

    So does a last line that was cut off when the run was killed. Raises UserError (``bad_output``) where a line is none
    of ours.
    """
    is_changed = False
    for number, line in enumerate(storage.lines(MANIFEST), 1):
        if entry := _parse(line, number):
            yield entry
        else:
            is_changed = True
    if is_changed:
        kept = b"".join(line for number, line in enumerate(storage.lines(MANIFEST), 1) if _parse(line, number))
        storage.write({MANIFEST: (kept, MANIFEST)}, force=True)  # every line of it was ours


def _parse(line: bytes, number: int) -> Entry | None:
    """The entry in a line; None where it does not stay. Raises UserError (``bad_output``)."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = _checked(Entry(**json.loads(line)))
    except (ValueError, TypeError) as error:
        raise UserError(
            ErrorCode.BAD_OUTPUT,
            f"Line {number} of {MANIFEST} is not what this program writes: choose another folder with --out.",
        ) from error
    return entry if entry.error is None else None


def _checked(entry: Entry) -> Entry:
    """Raises TypeError for values that would not be understood later."""
    names = list(entry.files.values()) if isinstance(entry.files, dict) else [None]
    texts = [entry.input, entry.sha256 or "", *names, *entry.warnings]
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry.seconds, int | float):
        raise TypeError(texts)
    if entry.error is None and set(entry.files) != set(result_files("")):
        raise TypeError(entry.files)
    return entry


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), separators=(",", ":")).encode("ascii") + b"\n"

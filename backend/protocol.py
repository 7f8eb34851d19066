"""What both sides of the pipe agree on: JSON-RPC 2.0, one message per line. Standard library only: Blender imports it.

Client to backend: the requests ``cutout {image, folder, options}``, ``load {options}``, ``generate {image, folder,
options, views, mask, show_views}``, ``text_to_mesh {prompt, folder, options, show_views}``, ``rebuild {source, folder,
options, changes, show_views}``, ``remesh {folder, options}``, ``weights.fetch {name}``, ``weights.add {path, name}``,
``weights.remove {name}`` and ``shutdown {}``; the notification ``cancel {id}``. Backend to client: first the
notification ``hello {protocol, backend, python, pid}``, then notifications ``progress {id, stage, fraction, text,
preview}``, and exactly one result or error for every request. A request's id is a whole number that no unfinished
request has. A message that cannot be accepted is answered by an error with its id or, where it has none of its own,
null.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from .errors import ErrorCode, UserError

PROTOCOL = 2
"""Raised whenever one side of another version would misunderstand the other."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
USER_ERROR = -32000
"""JSON-RPC's numbers for what is wrong; the last one is ours, and its data says more."""


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    id: int
    stage: str
    """The running stage, as the pipeline names it (``views``, ``surface``, ``mesh``, ...)."""
    fraction: float
    """0..1 of the whole job."""
    text: str
    """One line for a person."""
    preview: str | None = None
    """An image file to show, if there is a new one."""


@dataclass(frozen=True)
class Result:
    """The end of a job that succeeded."""

    id: int
    value: dict


@dataclass(frozen=True)
class Failure:
    """The end of a job that failed; ``error.code`` is ``cancelled`` when that was requested."""

    id: int
    error: UserError


def encode(message: dict) -> bytes:
    """One message as one line; pure ASCII, so that no encoding on the way can break it."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> dict | None:
    """The message in one line, or None when the line holds none (a stray print, say)."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):  # deeply nested brackets exhaust the parser's stack
        return None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None


def is_id(value: Any) -> TypeGuard[int]:
    """Whether a request may have this id. In Python, True is an int too; in JSON it is no number."""
    return isinstance(value, int) and not isinstance(value, bool)


def request(id: int, method: str, params: dict) -> dict:
    return {"id": id, "method": method, "params": params}


def notification(method: str, params: dict) -> dict:
    return {"method": method, "params": params}


def result(id: int, value: Any) -> dict:
    return {"id": id, "result": value}


def failure(id: int | None, error: UserError, number: int = USER_ERROR) -> dict:
    data = {"code": error.code, "log": error.log}
    return {"id": id, "error": {"code": number, "message": str(error), "data": data}}


def event(message: dict) -> Progress | Result | Failure | None:
    """A backend's message as what it means to the client; None for one that concerns no job, or is malformed."""
    if message.get("method") == "progress":
        return _progress(message.get("params"))
    id = message.get("id")
    if not is_id(id):
        return None
    if isinstance(message.get("result"), dict):
        return Result(id, message["result"])
    if isinstance(message.get("error"), dict):
        return Failure(id, _user_error(message["error"]))
    return None


def _progress(params: Any) -> Progress | None:
    if not isinstance(params, dict):
        return None
    id, stage, fraction, text, preview = map(params.get, ("id", "stage", "fraction", "text", "preview"))
    if not is_id(id) or not isinstance(stage, str) or not isinstance(text, str) or not isinstance(preview, str | None):
        return None
    if not isinstance(fraction, int | float) or isinstance(fraction, bool) or not 0 <= fraction <= 1:
        return None
    return Progress(id, stage, fraction, text, preview)


def _user_error(error: dict) -> UserError:
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    code, log = data.get("code"), data.get("log")
    return UserError(
        ErrorCode(code) if code in list(ErrorCode) else ErrorCode.INTERNAL,
        str(error.get("message") or "The backend reported an error without saying which."),
        log if isinstance(log, str) else None,
    )

"""What both sides of the pipe agree on: JSON-RPC 2.0, one message per line. Standard library only: Blender imports it.

Client to backend: requests ``generate {picture, folder, options}``, ``imagine {text, folder, options}``,
``rework {folder, options}``, ``shutdown {}``; notification ``cancel {id}``. Backend to client: first the notification
``hello {protocol, backend, python, pid}``, then notifications ``progress {id, stage, fraction, text, preview}``, and
exactly one result or error for every request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .errors import UserError

PROTOCOL = 1
"""Raised whenever an old side would misunderstand a new one."""

_USER_ERROR = -32000


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    id: int
    stage: str
    """The stage at work: ``text``, ``picture``, ``load``, ``views``, ``surface``, ``mesh``, ``texture``, ``export``."""
    fraction: float
    """0..1 of the whole job."""
    text: str
    """One line for a person."""
    preview: str | None = None
    """A picture file to show, if a new one is there."""


@dataclass(frozen=True)
class Result:
    """A job's good end."""

    id: int
    value: dict


@dataclass(frozen=True)
class Failure:
    """A job's bad end; ``error.code`` is ``cancelled`` when it was asked for."""

    id: int
    error: UserError


def encode(message: dict) -> bytes:
    """One message as one line; pure ASCII, so no encoding on the way can break it."""
    return json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> dict | None:
    """The message of one line, or None when the line is none (a stray print)."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None


def request(id: int, method: str, params: dict) -> dict:
    return {"id": id, "method": method, "params": params}


def notification(method: str, params: dict) -> dict:
    return {"method": method, "params": params}


def result(id: int, value: Any) -> dict:
    return {"id": id, "result": value}


def failure(id: int, error: UserError) -> dict:
    data = {"code": error.code, "log": error.log}
    return {"id": id, "error": {"code": _USER_ERROR, "message": str(error), "data": data}}


def event(message: dict) -> Progress | Result | Failure | None:
    """A backend's message as what it means to the client; None for messages that end or move no job."""
    if message.get("method") == "progress":
        return Progress(**message["params"])
    if "result" in message:
        return Result(message["id"], message["result"])
    if "error" in message:
        told = message["error"]
        data = told.get("data", {})
        return Failure(message["id"], UserError(data.get("code", "internal"), told["message"], data.get("log")))
    return None

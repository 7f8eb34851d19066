"""Whatever arrives at the backend process, each message is answered or refused on its own, and stdin's end ends it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from backend import protocol
from backend.client import Backend
from backend.errors import UserError
from backend.launch import backend_command
from backend.server import LINE_LIMIT

ASK = {"jsonrpc": "2.0", "id": 1, "method": "remesh", "params": {"folder": "/nowhere", "options": {"faces": 3}}}
"""A valid request that fails at once, without torch: 3 faces are too few."""
REFUSED = {
    "no JSON": (b"hello", protocol.PARSE_ERROR),
    "cut off": (b'{"jsonrpc": "2.0"', protocol.PARSE_ERROR),
    "no UTF-8": (b"\xff\xfe", protocol.PARSE_ERROR),
    "a batch": (json.dumps([ASK]).encode(), protocol.PARSE_ERROR),
    "deep brackets": (b"[" * 100_000, protocol.PARSE_ERROR),
    "deep params": (b'{"jsonrpc":"2.0","method":"cancel","params":' + b'{"a":' * 100_000, protocol.PARSE_ERROR),
    "a line too long": (b"x" * (LINE_LIMIT - 1), protocol.PARSE_ERROR),
    "no version": (b'{"id": 1, "method": "remesh", "params": {}}', protocol.PARSE_ERROR),
    "no method": (b'{"jsonrpc": "2.0", "id": 1}', protocol.INVALID_REQUEST),
    "a method that is a list": (b'{"jsonrpc": "2.0", "id": 1, "method": []}', protocol.INVALID_REQUEST),
    "params that are a list": (
        b'{"jsonrpc": "2.0", "id": 1, "method": "remesh", "params": []}',
        protocol.INVALID_REQUEST,
    ),
    "cancel without params": (b'{"jsonrpc":"2.0","method":"cancel"}', protocol.INVALID_PARAMS),
    "cancel of a list": (b'{"jsonrpc":"2.0","method":"cancel","params":{"id":[1]}}', protocol.INVALID_PARAMS),
    "cancel of true": (b'{"jsonrpc":"2.0","method":"cancel","params":{"id":true}}', protocol.INVALID_PARAMS),
    "shutdown without id": (b'{"jsonrpc": "2.0", "method": "shutdown"}', protocol.INVALID_REQUEST),
    "an id that is a list": (b'{"jsonrpc":"2.0","id":[1],"method":"generate","params":{}}', protocol.INVALID_REQUEST),
    "an id that is true": (b'{"jsonrpc":"2.0","id":true,"method":"generate","params":{}}', protocol.INVALID_REQUEST),
    "an id that is a text": (b'{"jsonrpc":"2.0","id":"a","method":"generate","params":{}}', protocol.INVALID_REQUEST),
    "an id that is a fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"generate"}', protocol.INVALID_REQUEST),
    "an id that is null": (b'{"jsonrpc":"2.0","id":null,"method":"generate"}', protocol.INVALID_REQUEST),
}


def _converse(*lines: bytes) -> list[dict]:
    """Send lines to a new server and close its stdin; its messages after the greeting, once it has ended."""
    process = subprocess.Popen(
        backend_command(sys.executable, "serve"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    output, _ = process.communicate(b"".join(line + b"\n" for line in lines), timeout=60)
    assert process.returncode in (0, 1), "it did not end by itself"
    messages = [json.loads(line) for line in output.splitlines()]
    assert messages[0]["method"] == "hello"
    return messages[1:]


def test_messages_are_refused_on_their_own():
    """All in one process: a refusal answers every one of them, and the request after them is still served."""
    *refusals, last = _converse(*(line for line, _ in REFUSED.values()), json.dumps({**ASK, "id": 7}).encode())
    assert [answer["error"]["code"] for answer in refusals] == [number for _, number in REFUSED.values()]
    for name, answer in zip(REFUSED, refusals, strict=True):
        assert answer["id"] is None and answer["error"]["data"]["code"] == "bad_request", name
        assert "\n" not in answer["error"]["message"] and answer["error"]["message"].endswith("."), name
    assert last["id"] == 7 and last["error"]["data"]["code"] == "bad_option"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("generate", {}),
        ("generate", {"image": 3, "folder": "/nowhere"}),
        ("generate", {"image": "/a.png", "folder": None}),
        ("text_to_mesh", {"prompt": ["a"], "folder": "/nowhere"}),
        ("remesh", {"folder": "/nowhere", "options": [1]}),
        ("weights.fetch", {}),
        ("weights.add", {"path": 1}),
        ("weights.add", {"path": "/nowhere", "name": 1}),
        ("weights.remove", {"name": None}),
    ],
)
def test_params_of_the_wrong_type_are_refused(method, params):
    (answer,) = [
        message for message in _converse(protocol.encode(protocol.request(1, method, params))) if "error" in message
    ]
    assert answer["id"] == 1 and answer["error"]["data"]["code"] == "bad_request"


def test_unknown_method_is_refused():
    (answer,) = _converse(protocol.encode(protocol.request(1, "nonsense", {})))
    assert answer["id"] == 1 and answer["error"]["code"] == protocol.METHOD_NOT_FOUND


def test_duplicate_id_is_refused_and_the_first_request_answered():
    process = subprocess.Popen(
        backend_command(sys.executable, "serve"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    job = protocol.encode(protocol.request(1, "weights.add", {"path": "/nowhere.ckpt", "name": None}))  # imports torch
    process.stdin.write(job + job)
    process.stdin.flush()
    answers = []
    while len(answers) < 2:
        message = json.loads(process.stdout.readline())
        answers += [message] if "error" in message else []
    process.communicate(timeout=60)
    assert [answer["id"] for answer in answers] == [None, 1]
    assert (
        answers[0]["error"]["code"] == protocol.INVALID_REQUEST and answers[1]["error"]["data"]["code"] != "bad_request"
    )


def test_end_of_input_ends_a_process_whose_output_nobody_reads():
    process = subprocess.Popen(
        backend_command(sys.executable, "serve"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(5000):  # more refusals than a pipe holds
        process.stdin.write(b'{"jsonrpc":"2.0","method":"cancel"}\n')
    process.stdin.close()
    started = time.monotonic()
    process.wait(30)
    assert time.monotonic() - started < 20
    process.stdout.close()


def test_client_survives_malformed_messages(tmp_path):
    """A child that sends every kind of nonsense before it answers."""
    answer = protocol.encode(protocol.result(1, {"good": True})).decode().strip()
    nonsense = [
        '{"jsonrpc":"2.0","method":"progress"}',
        '{"jsonrpc":"2.0","method":"progress","params":{"id":1}}',
        '{"jsonrpc":"2.0","method":"progress","params":{"id":1,"stage":1,"fraction":"a","text":[]}}',
        '{"jsonrpc":"2.0","id":[1],"result":{}}',
        '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"No."}}',
        '{"jsonrpc":"2.0","id":1,"error":"text"}',
        '{"jsonrpc":"2.0","id":true,"result":{}}',
        '{"jsonrpc":"2.0"}',
        "[" * 100_000,
    ]
    hello = protocol.encode(protocol.notification("hello", {"protocol": protocol.PROTOCOL})).decode().strip()
    program = tmp_path / "python"
    lines = tmp_path / "lines"
    lines.write_text("\n".join([hello, *nonsense, answer]) + "\n", encoding="utf-8")
    program.write_text(f"#!/bin/sh\nread request\ncat '{lines}'\nread end\n")
    program.chmod(0o755)
    if sys.platform == "win32":
        pytest.skip("a shell script stands in for the child")
    with Backend(program, tmp_path / "log") as own:
        assert own.wait(own.remesh(tmp_path, {})) == {"good": True}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_client_survives_an_unknown_signal(tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nread request\nkill -40 $$\n")  # a real-time signal
    program.chmod(0o755)
    with Backend(program, tmp_path / "log") as own:
        with pytest.raises(UserError, match="signal 40") as caught:
            own.wait(own.remesh(tmp_path, {}))
        assert caught.value.code == "worker_crashed"

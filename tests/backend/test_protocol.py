"""Messages survive the wire, and every exception becomes one clear sentence."""

from __future__ import annotations

import errno

import pytest
import torch

from backend import protocol
from backend.errors import ErrorCode, UserError, to_user_error
from backend.protocol import Failure, Progress, Result


def _over_the_wire(message: dict):
    line = protocol.encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return protocol.event(protocol.decode(line))


def test_progress_result_and_failure_arrive():
    params = {"id": 3, "stage": "views", "fraction": 0.5, "text": "Ümläut \n 日本", "preview": None}
    assert _over_the_wire(protocol.notification("progress", params)) == Progress(**params)
    assert _over_the_wire(protocol.result(4, {"a": [1, 2]})) == Result(4, {"a": [1, 2]})
    failure = _over_the_wire(protocol.failure(5, UserError(ErrorCode.BAD_IMAGE, "No.", "/a/log")))
    assert isinstance(failure, Failure) and (failure.id, failure.error.code, str(failure.error), failure.error.log) == (
        5,
        "bad_image",
        "No.",
        "/a/log",
    )


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[1]\n", b'{"a": 1}\n', b"\xff\xfe\n", b'{"jsonrpc": "2.0"\n'])
def test_stray_output_is_no_message(line):
    assert protocol.decode(line) is None


def _torch_out_of_memory() -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    return caught.value


def test_errors_foreseen_have_their_own_sentence():
    for error, code in (
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "disk_full"),
        (MemoryError(), "out_of_memory"),
        (_torch_out_of_memory(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/locked/x"), "no_permission"),
        (ModuleNotFoundError("No module named 'torch'"), "environment_broken"),
        (ZeroDivisionError("division by zero"), "internal"),
    ):
        user_error = to_user_error(error, "/a/log")
        assert (user_error.code, user_error.log) == (code, "/a/log")
        assert "\n" not in str(user_error) and "Traceback" not in str(user_error)
    assert "/a/log" in str(user_error)


def test_user_error_stays_itself():
    error = UserError(ErrorCode.BAD_IMAGE, "No.")
    assert to_user_error(error, "/a/log") is error and error.log == "/a/log"

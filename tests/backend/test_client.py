"""Starting the backend: from any folder, with any log, beside stray prints, and what is said when it cannot start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from backend import protocol
from backend.client import Backend
from backend.errors import UserError
from backend.launch import backend_command
from tests.helpers.paths import ROOT

SCRIPTS = ROOT / "tests" / "backend" / "scripts"


def _wait_for_hello(backend: Backend) -> None:
    deadline = time.monotonic() + 20
    while backend.hello is None:
        assert time.monotonic() < deadline and backend.alive
        backend.poll()
        time.sleep(0.01)


def test_stray_prints_break_no_message():
    """A thread that prints all the time, in Python and below it, while the server answers."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(SCRIPTS / "noisy_server.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1.5)
    for id in range(1, 200):
        process.stdin.write(protocol.encode(protocol.request(id, "nonsense", {"folder": "x", "options": {}})))
    process.stdin.write(b"not a message\n" + protocol.encode(protocol.request(200, "shutdown", {})))
    process.stdin.close()
    lines = process.stdout.read().splitlines()
    process.wait(10)
    messages = [protocol.decode(line) for line in lines]
    assert None not in messages and messages[0]["method"] == "hello"
    assert all("error" in message or message.get("id") == 200 for message in messages[1:])


def test_version_mismatch_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "PROTOCOL", protocol.PROTOCOL + 1)  # in this process only
    with Backend(sys.executable, tmp_path / "log") as own:
        with pytest.raises(UserError) as caught:
            own.wait(own.generate(tmp_path / "a.png", tmp_path / "job", {}))
        assert caught.value.code == "version_mismatch" and not own.alive


def test_python_missing_or_environment_empty(tmp_path):
    with pytest.raises(UserError) as caught:
        Backend(tmp_path / "python", tmp_path / "log")
    assert caught.value.code == "no_backend"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with Backend(python, tmp_path / "log") as own:
        with pytest.raises(UserError) as caught:
            own.wait(own.generate(tmp_path / "a.png", tmp_path / "job", {}))
        assert caught.value.code == "environment_broken" and "repair" in str(caught.value)
        assert not (tmp_path / "job").exists()


def test_package_runs_from_any_folder(tmp_path):
    """As in an installed extension: another folder, spaces, non-ASCII letters, PYTHON* variables of the host."""
    home = tmp_path / "Erweiterungen 日本" / "image_to_mesh"
    shutil.copytree(ROOT / "backend", home / "backend", ignore=shutil.ignore_patterns("__pycache__", "starter"))
    shutil.copy(ROOT / "blender_manifest.toml", home)  # the version stands there
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "say_hello.py"), str(home), sys.executable, str(tmp_path / "log")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "ascii"},
    )
    assert f"'protocol': {protocol.PROTOCOL}" in done.stdout, done.stderr


def test_long_log_is_renamed(tmp_path):
    log = tmp_path / "backend.log"
    log.write_bytes(b"x" * 2_000_000)
    with Backend(sys.executable, log) as own:
        _wait_for_hello(own)
    assert log.stat().st_size < 1000 and (tmp_path / "backend.log.1").stat().st_size == 2_000_000


def test_backend_command_starts_the_command_line(tmp_path):
    done = subprocess.run(backend_command(sys.executable, "--help"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "mesh" in done.stdout

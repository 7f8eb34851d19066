"""How a backend process ends in the middle of a job: cancelled, killed, crashed, closed, or left by its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.client import Backend
from backend.errors import UserError
from backend.paths import PARTIAL
from tests.helpers.backend_process import (
    ENVIRONMENT,
    end_of,
    gone,
    linux,
    save_disc,
    small_options,
    wait_for_stage,
    wait_until,
)
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path):
    """A process for a test that kills it."""
    with Backend(sys.executable, tmp_path / "backend.log", ENVIRONMENT) as running:
        yield running


@pytest.fixture
def image_path(tmp_path) -> Path:
    return save_disc(tmp_path)


@linux
@pytest.mark.parametrize("by_signal", [False, True])
def test_no_temporary_folder_is_left_where_the_data_folder_is_unusable(by_signal, tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)  # set in this process by tests before
    (tmp_path / "file").write_text("")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {"IMAGE_TO_MESH_HOME": str(tmp_path / "file" / "home"), "TMPDIR": str(temporary)}
    with Backend(sys.executable, tmp_path / "backend.log", ENVIRONMENT | variables) as running:
        wait_until(lambda: list(temporary.glob("image-to-mesh-torch-*")))
        if by_signal:
            hello = wait_until(lambda: running.poll() is not None and running.hello)
            os.kill(hello["pid"], signal.SIGTERM)
            wait_until(lambda: gone(hello["pid"]))
    wait_until(lambda: not list(temporary.iterdir()))


@linux
def test_cancel_kills_a_process_that_does_not_answer(own, weights, image_path, tmp_path):
    id = own.generate(image_path, tmp_path / "job", small_options(weights, quality="high"))
    wait_for_stage(own, id, "picture")
    os.kill(own.hello["pid"], signal.SIGSTOP)
    own.cancel(id)
    end = end_of(own, id, 10)
    assert end.error.code == "cancelled" and not own.alive and gone(own.hello["pid"])
    assert not (tmp_path / "job" / PARTIAL).exists()


@linux
def test_killed_process_is_one_clear_failure(own, weights, image_path, tmp_path):
    id = own.generate(image_path, tmp_path / "job", small_options(weights, quality="high"))
    wait_for_stage(own, id, "picture")
    os.kill(own.hello["pid"], signal.SIGKILL)
    end = end_of(own, id, 5)
    assert end.error.code == "worker_crashed" and "memory" in str(end.error) and str(own.log) in str(end.error)
    assert not own.alive and not (tmp_path / "job" / PARTIAL).exists()
    with pytest.raises(UserError) as caught:
        own.generate(image_path, tmp_path / "job", small_options(weights))
    assert caught.value.code == "worker_crashed"


@linux
def test_crash_names_its_signal(own, weights, image_path, tmp_path):
    id = own.generate(image_path, tmp_path / "job", small_options(weights))
    wait_for_stage(own, id, "load")
    os.kill(own.hello["pid"], signal.SIGSEGV)
    with pytest.raises(UserError, match="SIGSEGV") as caught:
        own.wait(id)
    assert caught.value.code == "worker_crashed"


@linux
def test_close_in_the_middle_leaves_nothing(weights, image_path, tmp_path):
    own = Backend(sys.executable, tmp_path / "log", ENVIRONMENT)
    id = own.generate(image_path, tmp_path / "job", small_options(weights, quality="high"))
    wait_for_stage(own, id, "views")
    pid, started = own.hello["pid"], time.monotonic()
    own.close()
    assert time.monotonic() - started < 5 and gone(pid) and not own.alive
    assert not (tmp_path / "job" / PARTIAL).exists()


@linux
def test_process_ends_with_its_parent(weights, image_path, tmp_path):
    """A parent that dies in the middle of a job (as Blender may) leaves no process and no half-written file."""
    options = json.dumps(small_options(weights, quality="high"))
    arguments = [sys.executable, str(tmp_path / "log"), str(image_path), str(tmp_path / "job"), options]
    script = ROOT / "tests" / "backend" / "scripts" / "dying_parent.py"
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script, *arguments], env=variables, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    wait_until(lambda: gone(int(done.stdout)), 5)
    wait_until(lambda: not (tmp_path / "job").exists(), 1)
